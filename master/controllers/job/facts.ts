import type { Job, JobCondition, JobStatus } from "#shared/api/types/batch-v1.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { isPodReady } from "../pod-condition.ts";
import { isPodActive, isPodTerminating } from "../pod-control/pod-availability.ts";
import { Indexes } from "./indexes.ts";
import {
  backOffLimitOf,
  finishedAt_ms,
  hasBackOffPerIndex,
  indexFailures,
  indexOf,
  isIndexed,
  isPodFailed,
  isSuspended,
  isTracked,
  validIndexOf,
} from "./pod-facts.ts";
import { judgeFailure } from "./pod-failure-policy.ts";
import { fulfilledRule } from "./success-policy.ts";

/** Indexes of an Indexed Job. */
export interface IndexFacts {
  /** As the status has them, without pods that have not been counted yet. */
  readonly recorded: Indexes;
  readonly succeeded: Indexes;
  /** With a back-off limit per index only. */
  readonly failed: Indexes | undefined;
  /** The last failed pod of each index that is to be tried again: it stays until its successor is there. */
  readonly toReplace: ReadonlyMap<number, Pod>;
}

/** A Job and what its pods show. */
export interface JobFacts {
  readonly job: Job;
  readonly pods: readonly Pod[];
  readonly active: readonly Pod[];
  readonly ready: number;
  readonly terminating: number;
  /** Still to be counted or let go: with the finalizer, as far as its removal has not been asked for. */
  readonly tracked: readonly Pod[];
  readonly newSucceeded: readonly Pod[];
  readonly newFailed: readonly Pod[];
  readonly succeeded: number;
  readonly failed: number;
  readonly indexes: IndexFacts | undefined;
}

/** Counts (pure). `released` are UIDs of pods whose finalizer was removed though the cache may not show it. */
export function factsOf(job: Job, pods: readonly Pod[], released: ReadonlySet<string>): JobFacts {
  const { status = {} } = job;
  const uncounted = {
    succeeded: new Set(status.uncountedTerminatedPods?.succeeded),
    failed: new Set(status.uncountedTerminatedPods?.failed),
  };
  const active = pods.filter(isPodActive);
  const tracked = pods.filter((pod) => isTracked(pod) && !released.has(pod.metadata.uid ?? ""));
  const valid = isIndexed(job) ? tracked.filter((pod) => validIndexOf(pod, job) !== undefined) : tracked;
  const uid = ({ metadata }: Pod): string => metadata.uid ?? "";
  const newSucceeded = valid.filter((pod) => pod.status?.phase === "Succeeded" && !uncounted.succeeded.has(uid(pod)));
  const newFailed = valid.filter((pod) => isPodFailed(pod, job) && !uncounted.failed.has(uid(pod)));
  const counted = newFailed.filter((pod) => judgeFailure(job.spec.podFailurePolicy, pod).counts);
  const indexes = isIndexed(job) ? indexFactsOf(job, pods, active, valid) : undefined;
  return {
    job,
    pods,
    active,
    ready: active.filter(isPodReady).length,
    terminating: pods.filter(isPodTerminating).length,
    tracked,
    newSucceeded,
    newFailed,
    succeeded: indexes
      ? indexes.succeeded.count
      : (status.succeeded ?? 0) + newSucceeded.length + uncounted.succeeded.size,
    failed: (status.failed ?? 0) + counted.length + uncounted.failed.size,
    indexes,
  };
}

function indexFactsOf(job: Job, pods: readonly Pod[], active: readonly Pod[], valid: readonly Pod[]): IndexFacts {
  const { completions = 0 } = job.spec;
  const numbers = (of: readonly Pod[]): number[] =>
    of.map((pod) => validIndexOf(pod, job)).filter((index) => index !== undefined);
  const tracked = pods.filter(isTracked);
  const recorded = Indexes.parse(job.status?.completedIndexes, completions);
  const succeeded = recorded.union(Indexes.of(numbers(tracked.filter(({ status }) => status?.phase === "Succeeded"))));
  if (!hasBackOffPerIndex(job)) return { recorded, succeeded, failed: undefined, toReplace: new Map() };
  const failed = Indexes.parse(job.status?.failedIndexes, completions).union(
    Indexes.of(numbers(tracked.filter((pod) => failsIndex(job, pod)))),
  );
  const busy = new Set(active.map(indexOf));
  const toReplace = new Map<number, Pod>();
  for (const pod of valid) {
    const index = validIndexOf(pod, job);
    if (index === undefined || !isPodFailed(pod, job)) continue;
    if (succeeded.has(index) || failed.has(index) || busy.has(index)) continue;
    const other = toReplace.get(index);
    if (!other || isLater(pod, other)) toReplace.set(index, pod);
  }
  return { recorded, succeeded, failed, toReplace };
}

function isLater(pod: Pod, other: Pod): boolean {
  const all = (of: Pod): number => indexFailures(of).counted + indexFailures(of).ignored;
  return all(pod) >= all(other) && finishedAt_ms(pod) >= finishedAt_ms(other);
}

/** The pod's failure is its index's end. */
function failsIndex(job: Job, pod: Pod): boolean {
  if (!isPodFailed(pod, job)) return false;
  const { counts, action } = judgeFailure(job.spec.podFailurePolicy, pod);
  if (action === "FailIndex") return true;
  return counts && indexFailures(pod).counted >= (job.spec.backoffLimitPerIndex ?? 0);
}

export const conditionOf = (status: JobStatus | undefined, type: string): JobCondition | undefined =>
  status?.conditions?.find((condition) => condition.type === type && condition.status === "True");

export const isFinished = ({ status }: Job): boolean =>
  conditionOf(status, "Complete") !== undefined || conditionOf(status, "Failed") !== undefined;

/** How a Job ends: what its pods are deleted for. */
export interface Ending {
  readonly type: "SuccessCriteriaMet" | "FailureTarget";
  readonly reason: string;
  readonly message: string;
}

/** Why the Job has to end before all its completions are reached; undefined when it has not (pure). */
export function earlyEnding(facts: JobFacts, now_ms: number): Ending | undefined {
  const { job, pods, failed, indexes } = facts;
  const { spec, status } = job;
  for (const type of ["SuccessCriteriaMet", "FailureTarget"] as const) {
    const begun = conditionOf(status, type);
    if (begun) return { type, reason: begun.reason ?? "", message: begun.message ?? "" };
  }
  for (const pod of spec.podFailurePolicy ? pods : []) {
    const message = isPodFailed(pod, job) ? judgeFailure(spec.podFailurePolicy, pod).message : undefined;
    if (message !== undefined) return failure("PodFailurePolicy", message);
  }
  if (failed > backOffLimitOf(job) || restartsTooOften(job, pods))
    return failure("BackoffLimitExceeded", "Job has reached the specified backoff limit");
  const left_ms = deadline_ms(job, now_ms);
  if (left_ms !== undefined && left_ms <= 0)
    return failure("DeadlineExceeded", "Job was active longer than specified deadline");
  return indexes && endingOfIndexes(job, indexes);
}

function endingOfIndexes({ spec }: Job, { failed, succeeded }: IndexFacts): Ending | undefined {
  const { completions = 0, maxFailedIndexes, successPolicy } = spec;
  if (failed && maxFailedIndexes !== undefined && failed.count > maxFailedIndexes)
    return failure("MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes");
  if (failed && failed.count > 0 && failed.count + succeeded.count >= completions)
    return failure("FailedIndexes", "Job has failed indexes");
  const message = fulfilledRule(successPolicy, completions, succeeded);
  return message === undefined ? undefined : { type: "SuccessCriteriaMet", reason: "SuccessPolicy", message };
}

const failure = (reason: string, message: string): Ending => ({ type: "FailureTarget", reason, message });

/** Milliseconds left of activeDeadlineSeconds; undefined when no deadline runs. */
export function deadline_ms(job: Job, now_ms: number): number | undefined {
  const { activeDeadlineSeconds } = job.spec;
  const { startTime } = job.status ?? {};
  if (activeDeadlineSeconds === undefined || !startTime || isSuspended(job)) return undefined;
  return Date.parse(startTime) + activeDeadlineSeconds * 1000 - now_ms;
}

/** Containers that are restarted in place count as failures too. */
function restartsTooOften(job: Job, pods: readonly Pod[]): boolean {
  if (job.spec.template.spec?.restartPolicy !== "OnFailure") return false;
  const restarts = pods
    .filter(({ status }) => status?.phase === "Running" || status?.phase === "Pending")
    .flatMap(({ status }) => [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
    .reduce((sum, { restartCount }) => sum + restartCount, 0);
  const limit = backOffLimitOf(job);
  return limit === 0 ? restarts > 0 : restarts >= limit;
}
