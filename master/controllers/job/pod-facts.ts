import { sidecarsOf } from "#shared/api/sidecars.ts";
import type { Job } from "#shared/api/types/batch-v1.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { podConditionOf } from "../pod-condition.ts";

/** Holds a pod of a Job back until it has been counted. */
export const trackingFinalizer = "batch.kubernetes.io/job-tracking";
export const indexAnnotation = "batch.kubernetes.io/job-completion-index";
export const failureCountAnnotation = "batch.kubernetes.io/job-index-failure-count";
export const ignoredFailureCountAnnotation = "batch.kubernetes.io/job-index-ignored-failure-count";

export const isTracked = ({ metadata }: Pod): boolean => metadata.finalizers?.includes(trackingFinalizer) ?? false;

export const isIndexed = ({ spec }: Job): boolean => spec.completionMode === "Indexed";
export const isSuspended = ({ spec }: Job): boolean => spec.suspend ?? false;
export const hasBackOffPerIndex = ({ spec }: Job): boolean => spec.backoffLimitPerIndex !== undefined;
export const parallelismOf = ({ spec }: Job): number => spec.parallelism ?? 1;

/** The failures that a Job stands; as good as endless where each index has its own limit. */
export const backOffLimitOf = (job: Job): number =>
  job.spec.backoffLimit ?? (hasBackOffPerIndex(job) ? 2 ** 31 - 1 : 6);

/** A pod that is on its way out is replaced only when it has really ended. */
export const replacesOnlyFailed = ({ spec }: Job): boolean =>
  spec.podReplacementPolicy === "Failed" || spec.podFailurePolicy !== undefined;

/** The pod failed, or is on its way out and counts as failed already. */
export function isPodFailed(pod: Pod, job: Job): boolean {
  if (pod.status?.phase === "Failed") return true;
  if (replacesOnlyFailed(job)) return false;
  return pod.metadata.deletionTimestamp !== undefined && pod.status?.phase !== "Succeeded";
}

/** The completion index; undefined when the pod bears none. */
export function indexOf({ metadata }: Pod): number | undefined {
  const text = metadata.annotations?.[indexAnnotation];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** The index, if the Job has one of that number. */
export function validIndexOf(pod: Pod, job: Job): number | undefined {
  const index = indexOf(pod);
  return index !== undefined && index < (job.spec.completions ?? 0) ? index : undefined;
}

function countIn({ metadata }: Pod, annotation: string): number {
  const text = metadata.annotations?.[annotation] ?? "";
  return /^\d{1,10}$/.test(text) && Number(text) < 2 ** 31 ? Number(text) : 0;
}

/** Failures of the index before this pod: those that count, and those that a rule ignores. */
export const indexFailures = (pod: Pod): { counted: number; ignored: number } => ({
  counted: countIn(pod, failureCountAnnotation),
  ignored: countIn(pod, ignoredFailureCountAnnotation),
});

/** When the pod ended, in milliseconds since 1970, from the best that is known. */
export function finishedAt_ms(pod: Pod): number {
  const { metadata, status, spec } = pod;
  const sidecars = new Set(sidecarsOf(spec).map(({ name }) => name));
  const ends = [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []).filter(({ name }) => sidecars.has(name)),
  ].map(({ state }) => Date.parse(state?.terminated?.finishedAt ?? ""));
  if (ends.length > 0 && ends.every((end) => !Number.isNaN(end))) return Math.max(...ends);
  const ready = podConditionOf(pod, "Ready");
  if (ready?.status === "False" && ready.lastTransitionTime) return Date.parse(ready.lastTransitionTime);
  if (metadata.deletionTimestamp)
    return Date.parse(metadata.deletionTimestamp) - (metadata.deletionGracePeriodSeconds ?? 0) * 1000;
  return Date.parse(metadata.creationTimestamp ?? "") || 0;
}
