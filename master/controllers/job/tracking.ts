import { pods as podResource } from "#shared/api/resources.ts";
import type { Job, JobStatus } from "#shared/api/types/batch-v1.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import type { Ending, IndexFacts, JobFacts } from "./facts.ts";
import { Indexes } from "./indexes.ts";
import { hasBackOffPerIndex, indexOf, isIndexed, isPodFailed, trackingFinalizer, validIndexOf } from "./pod-facts.ts";
import { judgeFailure } from "./pod-failure-policy.ts";

/*
 * Every pod of a Job is counted exactly once, whatever dies in between (KEP-2307): its UID goes into
 * status.uncountedTerminatedPods, then its finalizer goes, then the count rises and the UID leaves the list. Indexed Jobs
 * count successes by the index itself.
 */

/** Pods taken into the status at once. */
const mostUncounted = 500;

export interface Tracking {
  /** With what is to be counted. */
  readonly status: JobStatus;
  /** Counted once the status is written: their finalizers may go. */
  readonly release: readonly Pod[];
  /** There are more than fit: the Job cannot be called finished yet. */
  readonly isPartial: boolean;
}

/** The pods to count now (pure). `ending` lets all of them go, the unfinished ones as failed unless it is a success. */
export function planTracking(facts: JobFacts, status: JobStatus, ending: Ending | undefined): Tracking {
  const { job, indexes } = facts;
  const succeeded = new Set(status.uncountedTerminatedPods?.succeeded);
  const lost = new Set(status.uncountedTerminatedPods?.failed);
  const newIndexes: number[] = [];
  const release: Pod[] = [];
  let isPartial = false;
  for (const pod of facts.tracked.toSorted(byIndex)) {
    const failed = isPodFailed(pod, job);
    if (!mayRelease(facts, pod, failed, ending)) continue;
    release.push(pod);
    const { uid = "" } = pod.metadata;
    const index = validIndexOf(pod, job);
    if (pod.status?.phase === "Succeeded" && !lost.has(uid)) {
      if (!indexes) succeeded.add(uid);
      else if (index !== undefined && !indexes.recorded.has(index)) newIndexes.push(index);
    } else if ((failed || ending?.type === "FailureTarget") && countsAsFailure(job, pod)) lost.add(uid);
    if (newIndexes.length + succeeded.size + lost.size >= mostUncounted) {
      isPartial = true;
      break;
    }
  }
  const counted = { ...status, uncountedTerminatedPods: { succeeded: [...succeeded], failed: [...lost] } };
  return { status: indexes ? withIndexes(counted, job, indexes, newIndexes) : counted, release, isPartial };
}

/** A pod of no valid index counts for nothing in an Indexed Job, nor does one whose failure a rule ignores. */
const countsAsFailure = (job: Job, pod: Pod): boolean =>
  (!isIndexed(job) || validIndexOf(pod, job) !== undefined) && judgeFailure(job.spec.podFailurePolicy, pod).counts;

const byIndex = (a: Pod, b: Pod): number => (indexOf(a) ?? -1) - (indexOf(b) ?? -1);

function withIndexes(status: JobStatus, job: Job, { recorded, failed }: IndexFacts, added: number[]): JobStatus {
  const succeeded = recorded.union(Indexes.of(added));
  return {
    ...status,
    succeeded: succeeded.count,
    completedIndexes: succeeded.toString(),
    ...(hasBackOffPerIndex(job) ? { failedIndexes: failed?.toString() ?? "" } : {}),
  };
}

function mayRelease({ job, indexes }: JobFacts, pod: Pod, failed: boolean, ending: Ending | undefined): boolean {
  if (job.metadata.deletionTimestamp || ending || pod.status?.phase === "Succeeded") return true;
  if (!failed) return false;
  // The last failure of an index carries its count until the next pod of the index has taken it over.
  const index = indexOf(pod);
  return index === undefined || indexes?.toReplace.get(index)?.metadata.uid !== pod.metadata.uid;
}

/** The counts with those in whose finalizer is gone (pure). `held` are UIDs of pods that still have theirs. */
export function settled(status: JobStatus, held: ReadonlySet<string>): JobStatus {
  const { succeeded = [], failed = [] } = status.uncountedTerminatedPods ?? {};
  const stillSucceeded = succeeded.filter((uid) => held.has(uid));
  const stillFailed = failed.filter((uid) => held.has(uid));
  return {
    ...status,
    succeeded: (status.succeeded ?? 0) + succeeded.length - stillSucceeded.length,
    failed: (status.failed ?? 0) + failed.length - stillFailed.length,
    uncountedTerminatedPods: { succeeded: stillSucceeded, failed: stillFailed },
  };
}

/** Takes the tracking finalizer off the pod; one that has gone has none. */
export async function releasePod(client: Client, { metadata }: Pod): Promise<void> {
  const key = { namespace: metadata.namespace, name: metadata.name ?? "" };
  const body = { metadata: { uid: metadata.uid, "$deleteFromPrimitiveList/finalizers": [trackingFinalizer] } };
  await unlessGone(client.patch(podResource, key, { type: "strategic", body }));
}
