import { messageOf } from "#shared/api/joined-errors.ts";
import { labelSelectorOfMap } from "#shared/api/selector/label-selector.ts";
import type { Pod, PodTemplateSpec } from "#shared/api/types/core-v1.generated.ts";
import { isPodReady } from "../pod-condition.ts";
import { isPodAvailable } from "../pod-control/pod-availability.ts";

export interface ReplicaCondition {
  type: string;
  status: string;
  lastTransitionTime?: string | undefined;
  reason?: string | undefined;
  message?: string | undefined;
}

/** The status that ReplicaSets and ReplicationControllers share. */
export interface ReplicaStatus {
  replicas: number;
  fullyLabeledReplicas?: number | undefined;
  readyReplicas?: number | undefined;
  availableReplicas?: number | undefined;
  terminatingReplicas?: number | undefined;
  observedGeneration?: number | undefined;
  conditions?: ReplicaCondition[] | undefined;
}

export interface ObservedReplicas {
  readonly wanted: number;
  readonly minReadySeconds: number | undefined;
  readonly template: PodTemplateSpec | undefined;
  readonly generation: number;
  readonly active: readonly Pod[];
  /** Absent for the kind that does not tell. */
  readonly terminating: readonly Pod[] | undefined;
  /** What making or deleting pods failed with. */
  readonly failure: unknown;
  readonly now_ms: number;
  readonly now: string;
}

/** The status after what was seen and done (pure). */
export function replicaStatusOf(present: ReplicaStatus | undefined, observed: ObservedReplicas): ReplicaStatus {
  const { active, terminating, minReadySeconds, now_ms } = observed;
  const templateLabels = labelSelectorOfMap(observed.template?.metadata?.labels ?? {});
  const conditions = conditionsAfter(present?.conditions ?? [], observed);
  return {
    replicas: active.length,
    fullyLabeledReplicas: active.filter(({ metadata }) => templateLabels.matches(metadata.labels)).length,
    readyReplicas: active.filter(isPodReady).length,
    availableReplicas: active.filter((pod) => isPodAvailable(pod, minReadySeconds, now_ms)).length,
    ...(terminating ? { terminatingReplicas: terminating.length } : {}),
    observedGeneration: observed.generation,
    ...(conditions.length > 0 ? { conditions } : {}),
  };
}

function conditionsAfter(
  present: readonly ReplicaCondition[],
  { failure, active, wanted, now }: ObservedReplicas,
): ReplicaCondition[] {
  const failed = present.some(({ type }) => type === "ReplicaFailure");
  if (failure === undefined) return present.filter(({ type }) => type !== "ReplicaFailure");
  if (failed) return [...present];
  const message = messageOf(failure);
  const reason = active.length < wanted ? "FailedCreate" : active.length > wanted ? "FailedDelete" : "";
  return [...present, { type: "ReplicaFailure", status: "True", lastTransitionTime: now, reason, message }];
}

/** Whether the status is worth a write. */
export function sameReplicaStatus(a: ReplicaStatus | undefined, b: ReplicaStatus): boolean {
  const facts = (status: ReplicaStatus | undefined): unknown => [
    status?.replicas ?? 0,
    status?.fullyLabeledReplicas ?? 0,
    status?.readyReplicas ?? 0,
    status?.availableReplicas ?? 0,
    status?.terminatingReplicas ?? null,
    status?.observedGeneration ?? 0,
    status?.conditions?.map(({ type, status: is, reason, message }) => [type, is, reason, message]) ?? [],
  ];
  return JSON.stringify(facts(a)) === JSON.stringify(facts(b));
}
