import type {
  Deployment,
  DeploymentCondition,
  DeploymentStatus,
  ReplicaSet,
} from "#shared/api/types/apps-v1.generated.ts";
import { maxUnavailableOf, replicasOf, sum } from "./sizes.ts";

/* The status of a Deployment and its conditions; all of it pure. */

/** Stands for "no limit" in progressDeadlineSeconds and revisionHistoryLimit. */
const noLimit = 2 ** 31 - 1;

export const hasProgressDeadline = ({ spec }: Deployment): boolean =>
  spec.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds !== noLimit;
export const hasHistoryLimit = ({ spec }: Deployment): boolean =>
  spec.revisionHistoryLimit !== undefined && spec.revisionHistoryLimit !== noLimit;

export const conditionOf = (status: DeploymentStatus | undefined, type: string): DeploymentCondition | undefined =>
  status?.conditions?.find((condition) => condition.type === type);

const withoutCondition = (
  conditions: readonly DeploymentCondition[] | undefined,
  type: string,
): DeploymentCondition[] => (conditions ?? []).filter((condition) => condition.type !== type);

export type WantedCondition = Omit<DeploymentCondition, "lastUpdateTime" | "lastTransitionTime">;

/** The conditions with this one in place; the present one stays when it has the same status and reason. */
export function withCondition(
  conditions: readonly DeploymentCondition[] | undefined,
  wanted: WantedCondition,
  now: string,
): DeploymentCondition[] {
  const present = conditions?.find(({ type }) => type === wanted.type);
  if (present?.status === wanted.status && present.reason === wanted.reason) return [...(conditions ?? [])];
  const lastTransitionTime = present?.status === wanted.status ? present.lastTransitionTime : now;
  return [...withoutCondition(conditions, wanted.type), { ...wanted, lastUpdateTime: now, lastTransitionTime }];
}

/** Counts over all ReplicaSets, and whether enough is available. */
export function statusOf(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  now: string,
): DeploymentStatus {
  const all = [...old, ...(current ? [current] : [])];
  const availableReplicas = sum(all, ({ status }) => status?.availableReplicas);
  const isAvailable = availableReplicas >= replicasOf(deployment) - maxUnavailableOf(deployment);
  const terminatingReplicas = terminatingOf(all);
  const { collisionCount, conditions } = deployment.status ?? {};
  return {
    observedGeneration: deployment.metadata.generation,
    replicas: sum(all, ({ status }) => status?.replicas),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: sum(all, ({ status }) => status?.readyReplicas),
    availableReplicas,
    unavailableReplicas: Math.max(0, sum(all, replicasOf) - availableReplicas),
    ...(terminatingReplicas === undefined ? {} : { terminatingReplicas }),
    ...(collisionCount === undefined ? {} : { collisionCount }),
    conditions: withCondition(
      conditions,
      isAvailable
        ? {
            type: "Available",
            status: "True",
            reason: "MinimumReplicasAvailable",
            message: "Deployment has minimum availability.",
          }
        : {
            type: "Available",
            status: "False",
            reason: "MinimumReplicasUnavailable",
            message: "Deployment does not have minimum availability.",
          },
      now,
    ),
  };
}

/** Unknown as soon as one ReplicaSet that was looked at does not tell. */
function terminatingOf(all: readonly ReplicaSet[]): number | undefined {
  let total = 0;
  for (const { status } of all) {
    if (!status?.observedGeneration && status?.terminatingReplicas === undefined) continue;
    if (status?.terminatingReplicas === undefined) return undefined;
    total += status.terminatingReplicas;
  }
  return total;
}

/** Everything that is wanted runs, is of the present template and available. */
export function isComplete(deployment: Deployment, status: DeploymentStatus | undefined): boolean {
  const wanted = replicasOf(deployment);
  return (
    (status?.updatedReplicas ?? 0) === wanted &&
    (status?.replicas ?? 0) === wanted &&
    (status?.availableReplicas ?? 0) === wanted &&
    (status?.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function hasProgressed({ status: old = {} }: Deployment, status: DeploymentStatus): boolean {
  const oldPods = (of: DeploymentStatus): number => (of.replicas ?? 0) - (of.updatedReplicas ?? 0);
  return (
    (status.updatedReplicas ?? 0) > (old.updatedReplicas ?? 0) ||
    oldPods(status) < oldPods(old) ||
    (status.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (status.availableReplicas ?? 0) > (old.availableReplicas ?? 0)
  );
}

function hasTimedOut({ spec }: Deployment, progressing: DeploymentCondition | undefined, now_ms: number): boolean {
  if (!progressing || progressing.reason === "NewReplicaSetAvailable") return false;
  if (progressing.reason === "ProgressDeadlineExceeded") return true;
  return Date.parse(progressing.lastUpdateTime ?? "") + (spec.progressDeadlineSeconds ?? 0) * 1000 < now_ms;
}

/** The status with the condition Progressing, as a rollout moves on, is done, or runs out of time; and with
 *  ReplicaFailure while a ReplicaSet has it. */
export function withProgress(
  deployment: Deployment,
  status: DeploymentStatus,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  now: string,
): DeploymentStatus {
  const conditions = withFailure(progressConditions(deployment, status, current, now), current, old, now);
  return { ...status, conditions };
}

function progressConditions(
  deployment: Deployment,
  status: DeploymentStatus,
  current: ReplicaSet | undefined,
  now: string,
): DeploymentCondition[] {
  const { conditions = [] } = status;
  if (!hasProgressDeadline(deployment)) return withoutCondition(conditions, "Progressing");
  const present = conditionOf(deployment.status, "Progressing");
  const wasComplete =
    (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && present?.reason === "NewReplicaSetAvailable";
  if (wasComplete) return [...conditions];
  const subject = current ? `ReplicaSet "${current.metadata.name}"` : `Deployment "${deployment.metadata.name}"`;
  if (isComplete(deployment, status)) {
    const message = `${subject} has successfully progressed.`;
    const wanted = { type: "Progressing", status: "True", reason: "NewReplicaSetAvailable", message };
    return withCondition(conditions, wanted, now);
  }
  if (hasProgressed(deployment, status)) {
    // Renewed at every step: the deadline runs from the last one.
    const lastTransitionTime = present?.status === "True" ? present.lastTransitionTime : now;
    const message = `${subject} is progressing.`;
    const wanted = { type: "Progressing", status: "True", reason: "ReplicaSetUpdated", message };
    return [...withoutCondition(conditions, "Progressing"), { ...wanted, lastUpdateTime: now, lastTransitionTime }];
  }
  if (hasTimedOut(deployment, conditionOf(status, "Progressing"), Date.parse(now))) {
    const message = `${subject} has timed out progressing.`;
    const wanted = { type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded", message };
    return withCondition(conditions, wanted, now);
  }
  return [...conditions];
}

function withFailure(
  conditions: readonly DeploymentCondition[],
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  now: string,
): DeploymentCondition[] {
  const failure = [...(current ? [current] : []), ...old]
    .flatMap(({ status }) => status?.conditions ?? [])
    .find(({ type }) => type === "ReplicaFailure");
  if (!failure) return withoutCondition(conditions, "ReplicaFailure");
  const { type, status, reason, message } = failure;
  return withCondition(conditions, { type, status, reason, message }, failure.lastTransitionTime ?? now);
}

/** Milliseconds until a rollout that stands still may be out of time; undefined when nothing is waiting for that. */
export function nextProgressCheck_ms(
  deployment: Deployment,
  status: DeploymentStatus,
  now_ms: number,
): number | undefined {
  const progressing = conditionOf(deployment.status, "Progressing");
  if (!hasProgressDeadline(deployment) || !progressing) return undefined;
  if (isComplete(deployment, status) || progressing.reason === "ProgressDeadlineExceeded") return undefined;
  const deadline_ms =
    Date.parse(progressing.lastUpdateTime ?? "") + (deployment.spec.progressDeadlineSeconds ?? 0) * 1000;
  // A second more: times in objects are whole seconds.
  return Math.max(0, deadline_ms - now_ms) + 1000;
}
