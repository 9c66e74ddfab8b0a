const readFirst_ms = 500;

/**
 * Calls once a time is over in which nothing came, and tells what ends it. What came meanwhile to a process that was kept busy, or
 * stood still, is read before: else it would be late for no fault of who sent it. Takes half a second more than `delay_ms`.
 */
export function afterReading(delay_ms: number, run: () => void): () => void {
  let timer = setTimeout(() => {
    timer = setTimeout(run, readFirst_ms);
  }, delay_ms);
  return () => clearTimeout(timer);
}
