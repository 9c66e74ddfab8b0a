import { isTerminal } from "#shared/api/pod-phase.ts";
import { earliest } from "#shared/api/time.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { isPodReady, podConditionOf } from "../pod-condition.ts";

/** Neither ended nor on its way out. */
export const isPodActive = (pod: Pod): boolean => !isTerminal(pod) && pod.metadata.deletionTimestamp === undefined;

/** On its way out and not ended yet. */
export const isPodTerminating = (pod: Pod): boolean => !isTerminal(pod) && pod.metadata.deletionTimestamp !== undefined;

/** When the pod became ready, in milliseconds since 1970; undefined when it is not ready or does not say since when. */
export function readySince_ms(pod: Pod): number | undefined {
  if (!isPodReady(pod)) return undefined;
  const since = podConditionOf(pod, "Ready")?.lastTransitionTime;
  return since ? Date.parse(since) : undefined;
}

/** Ready for at least `minReadySeconds`. */
export function isPodAvailable(pod: Pod, minReadySeconds: number | undefined, now_ms: number): boolean {
  if (!isPodReady(pod)) return false;
  if (!minReadySeconds) return true;
  const since_ms = readySince_ms(pod);
  return since_ms !== undefined && since_ms + minReadySeconds * 1000 <= now_ms;
}

/** Milliseconds until the next of the ready pods counts as available; undefined when none is waiting for that. */
export function nextAvailability_ms(
  pods: readonly Pod[],
  minReadySeconds: number | undefined,
  now_ms: number,
): number | undefined {
  if (!minReadySeconds) return undefined;
  const waits_ms = pods
    .map((pod) => readySince_ms(pod))
    .filter((since_ms) => since_ms !== undefined)
    .map((since_ms) => since_ms + minReadySeconds * 1000 - now_ms)
    .filter((wait_ms) => wait_ms > 0);
  return earliest(waits_ms);
}
