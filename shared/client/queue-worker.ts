import type { WorkQueue } from "./work-queue.ts";

/** What becomes of a key that was looked at: it comes back after a time, or after its back-off as if it had failed; `behind_ms`: after a
 *  time, as if it had not been looked at. Nothing: it rests until somebody adds it. */
export type KeyOutcome = { readonly requeueAfter_ms: number } | { readonly behind_ms: number } | "not yet" | undefined;

/**
 * One worker of a queue: looks at keys, one after the other, until the queue is shut down. A key whose look rejects comes back
 * after its back-off, unless `onError` gives it up.
 */
export async function runQueueWorker(
  queue: WorkQueue,
  // biome-ignore lint/suspicious/noConfusingVoidType: a look that asks for nothing just ends.
  look: (key: string) => Promise<KeyOutcome | void>,
  // biome-ignore lint/suspicious/noConfusingVoidType: likewise.
  onError: (key: string, error: unknown) => "give up" | void,
): Promise<void> {
  for (let key = await queue.get(); key !== undefined; key = await queue.get()) {
    try {
      const outcome = await look(key);
      if (outcome === "not yet") {
        queue.addRateLimited(key);
        continue;
      }
      if (outcome && "behind_ms" in outcome) {
        queue.addAfter(key, outcome.behind_ms);
        continue;
      }
      queue.forget(key);
      if (outcome) queue.addAfter(key, outcome.requeueAfter_ms);
    } catch (error) {
      if (onError(key, error) === "give up") queue.forget(key);
      else queue.addRateLimited(key);
    } finally {
      queue.done(key);
    }
  }
}
