import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { exponentialDelay_ms } from "#shared/client/exponential-delay.ts";
import { finishedAt_ms, indexFailures } from "./pod-facts.ts";

const first_ms = 10_000;
const longest_ms = 10 * 60_000;

/** Failures of a Job since its last success. */
export interface BackOffRecord {
  readonly failures: number;
  readonly last_ms: number;
}

export const noFailures: BackOffRecord = { failures: 0, last_ms: 0 };

/** The record after more pods have ended (pure). */
export function recordAfter(record: BackOffRecord, succeeded: readonly Pod[], failed: readonly Pod[]): BackOffRecord {
  const failures_ms = failed.map(finishedAt_ms);
  if (succeeded.length === 0) {
    if (failed.length === 0) return record;
    return { failures: record.failures + failed.length, last_ms: Math.max(...failures_ms) };
  }
  const success_ms = Math.max(...succeeded.map(finishedAt_ms));
  const later = failures_ms.filter((failure_ms) => failure_ms > success_ms);
  return later.length === 0 ? noFailures : { failures: later.length, last_ms: Math.max(...later) };
}

/** What is left to wait before a failed pod is replaced: 10 s, doubled with each failure, at most 10 minutes. */
export function remaining_ms({ failures, last_ms }: BackOffRecord, now_ms: number): number {
  if (failures === 0) return 0;
  const wait_ms = exponentialDelay_ms(failures - 1, first_ms, longest_ms);
  // A clock that was set back must not make it wait longer than the back-off itself.
  return Math.min(wait_ms, Math.max(0, last_ms + wait_ms - now_ms));
}

/** The same for one index, after this pod of it. */
export function remainingOfIndex_ms(lastFailed: Pod | undefined, now_ms: number): number {
  if (!lastFailed) return 0;
  const { counted, ignored } = indexFailures(lastFailed);
  return remaining_ms({ failures: counted + ignored + 1, last_ms: finishedAt_ms(lastFailed) }, now_ms);
}
