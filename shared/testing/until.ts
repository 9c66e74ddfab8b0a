export interface Patience {
  /** How long it may take; only what is broken needs so long. */
  readonly patience_ms?: number | undefined;
  /** Between two looks. */
  readonly every_ms?: number | undefined;
  /** What else to tell when it did not come to that: logs. */
  readonly tell?: (() => string) | undefined;
}

/**
 * Looks again and again until there is something, neither undefined nor false, and gives it. A look that fails has found
 * nothing. Rejects with `what`, and the last failure as cause, when patience ends.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  { patience_ms = 240_000, every_ms = 100, tell = () => "" }: Patience = {},
): Promise<T> {
  const end_ms = performance.now() + patience_ms;
  for (;;) {
    // Looked at once more after the time is over: this process itself may have been kept busy meanwhile.
    const isLast = performance.now() > end_ms;
    let failure: unknown;
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      failure = error;
    }
    if (isLast) {
      const why = failure === undefined ? "" : ` (${String(failure)})`;
      throw new Error(`${what}: not so in time${why}\n${tell()}`.trimEnd(), { cause: failure });
    }
    await Bun.sleep(every_ms);
  }
}
