const longestTurn_ms = 10;

/** Long work in pieces: asked between two of them, it lets the rest of the process run once enough time has gone by. */
export class Turn {
  #began_ms = performance.now();

  /** Whether others should have their turn now. */
  get isLong(): boolean {
    return performance.now() - this.#began_ms >= longestTurn_ms;
  }

  /** Resolves at once, or in a later turn of the event loop. */
  async pause(): Promise<void> {
    if (this.isLong) await this.end();
  }

  /** Resolves in a later turn. */
  async end(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#began_ms = performance.now();
  }
}
