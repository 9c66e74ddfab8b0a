import { conditionChange } from "#shared/api/patch/condition-change.ts";
import { pods } from "#shared/api/resources.ts";
import type { Pod, PodCondition } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type Clock, timestamp } from "#shared/client/clock.ts";

export const podConditionOf = ({ status }: Pod, type: string): PodCondition | undefined =>
  status?.conditions?.find((condition) => condition.type === type);

export const isPodReady = (pod: Pod): boolean => podConditionOf(pod, "Ready")?.status === "True";

/** The condition as it should be written: the transition time moves only with the status. Undefined when the pod says
 *  the same already (pure). */
function conditionToWrite(
  pod: Pod,
  wanted: Omit<PodCondition, "lastTransitionTime">,
  now: string,
): PodCondition | undefined {
  const present = podConditionOf(pod, wanted.type);
  if (present?.status === wanted.status && present.reason === wanted.reason && present.message === wanted.message)
    return undefined;
  const kept = present?.status === wanted.status ? present.lastTransitionTime : undefined;
  return { ...wanted, lastTransitionTime: kept ?? now };
}

/** Writes one condition in the place of the present one of its type, and further fields of the status if given, of this
 *  very pod (by UID). Rejects with NotFound or Conflict when that is gone. */
export async function writePodCondition(
  client: Client,
  clock: Clock,
  pod: Pod,
  wanted: Omit<PodCondition, "lastTransitionTime">,
  status: object = {},
): Promise<void> {
  const condition = conditionToWrite(pod, wanted, timestamp(clock));
  if (!condition && Object.keys(status).length === 0) return;
  const { name = "", namespace, uid } = pod.metadata;
  const whole = condition && { ...emptied(podConditionOf(pod, wanted.type), condition), ...condition };
  const change = whole ? conditionChange(pod.status?.conditions, whole) : {};
  const body = { metadata: { uid }, status: { ...status, ...change } };
  await client.patch(pods, { namespace, name }, { type: "strategic", body }, { subresource: "status" });
}

/** What the present condition says and the next one does not: a patch would leave it. */
function emptied(present: PodCondition | undefined, next: PodCondition): Record<string, null> {
  const gone = (["reason", "message"] as const).filter((field) => present?.[field] && next[field] === undefined);
  return Object.fromEntries(gone.map((field) => [field, null]));
}
