import type { StatefulSet, StatefulSetStatus } from "#shared/api/types/apps-v1.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { isPodReady } from "../pod-condition.ts";
import { isPodAvailable } from "../pod-control/pod-availability.ts";
import { podRevision, replicasOf } from "./ordinals.ts";

/** The pod is stored, not only planned. */
export const exists = ({ metadata }: Pod): boolean => metadata.uid !== undefined;
export const isTerminating = ({ metadata }: Pod): boolean => metadata.deletionTimestamp !== undefined;
export const isRunningAndReady = (pod: Pod): boolean => pod.status?.phase === "Running" && isPodReady(pod);
export const isUnavailable = (pod: Pod, { spec }: StatefulSet, now_ms: number): boolean =>
  !isPodAvailable(pod, spec.minReadySeconds, now_ms) || isTerminating(pod);

export interface RevisionNames {
  readonly current: string;
  readonly update: string;
}

/** The counts of the status (pure). */
export function countPods(set: StatefulSet, pods: readonly Pod[], { current, update }: RevisionNames, now_ms: number) {
  const stored = pods.filter(exists);
  const staying = stored.filter((pod) => !isTerminating(pod));
  const ready = stored.filter(isRunningAndReady);
  return {
    replicas: stored.length,
    readyReplicas: ready.length,
    availableReplicas: ready.filter((pod) => isPodAvailable(pod, set.spec.minReadySeconds, now_ms)).length,
    currentReplicas: staying.filter((pod) => podRevision(pod) === current).length,
    updatedReplicas: staying.filter((pod) => podRevision(pod) === update).length,
  };
}

/** A rolling update is over when all are of the new revision and ready: that is then the current one. */
export function completed(set: StatefulSet, status: StatefulSetStatus): StatefulSetStatus {
  const wanted = replicasOf(set);
  const isRolling = (set.spec.updateStrategy?.type ?? "RollingUpdate") === "RollingUpdate";
  const isDone =
    isRolling && status.updatedReplicas === wanted && status.readyReplicas === wanted && status.replicas === wanted;
  if (!isDone) return status;
  return { ...status, currentReplicas: status.updatedReplicas, currentRevision: status.updateRevision };
}
