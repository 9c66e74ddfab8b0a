/** Settles as the task does, or rejects as soon as the signal aborts; the task itself goes on. */
export async function orAborted<T>(signal: AbortSignal, task: Promise<T>): Promise<T> {
  if (signal.aborted) {
    // What becomes of it has no one to tell.
    task.catch(() => undefined);
    throw signal.reason;
  }
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([task, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
