/** The most that runs at the same time, however well it goes. */
const mostAtOnce = 64;

export interface BatchResult {
  readonly succeeded: number;
  /** Of the batch that failed; nothing was tried after it. */
  readonly errors: readonly unknown[];
}

/**
 * Runs one, then two, then four at the same time and so on, and stops after the first batch with a failure: what fails
 * for one (a quota, a webhook) would fail for all, and should not be asked a hundred times.
 */
export async function slowStart(count: number, run: (index: number) => Promise<void>): Promise<BatchResult> {
  let succeeded = 0;
  for (let begin = 0, size = 1; begin < count; begin += size, size = Math.min(2 * size, mostAtOnce)) {
    size = Math.min(size, count - begin);
    const results = await Promise.allSettled(Array.from({ length: size }, (_, offset) => run(begin + offset)));
    const errors = results.filter((result) => result.status === "rejected").map(({ reason }) => reason as unknown);
    succeeded += size - errors.length;
    if (errors.length > 0) return { succeeded, errors };
  }
  return { succeeded, errors: [] };
}

/** Runs for all, a bounded number at a time, and rejects with the first error when all have ended. */
export async function forAll<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  const waiting = items.values();
  const worker = async (): Promise<void> => {
    for (const item of waiting) {
      try {
        await run(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(mostAtOnce, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
}
