import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Condition } from "#shared/api/types/meta-v1.generated.ts";
import type { PodDisruptionBudget, PodDisruptionBudgetStatus } from "#shared/api/types/policy-v1.generated.ts";
import { isPodReady, podConditionOf } from "../pod-condition.ts";
import { scaledValue } from "../pod-control/int-or-percent.ts";
import { isPodActive } from "../pod-control/pod-availability.ts";

/* What a PodDisruptionBudget allows, from what is seen; all of it pure. */

/** After this a pod that was to be evicted, and is still there, counts as staying. */
const evictionPatience_ms = 2 * 60_000;

export interface Expected {
  /** Pods that there should be. */
  readonly pods: number;
  /** Of those, how many must stay healthy. */
  readonly healthy: number;
}

/** Whether the number of pods that owners want has to be known; else the pods that are there count. */
export const needsScale = ({ spec }: PodDisruptionBudget): boolean =>
  spec.maxUnavailable !== undefined || typeof spec.minAvailable === "string";

/** `scale`: what the owners of the pods want together; read only where `needsScale` says so. */
export function expectedOf({ spec }: PodDisruptionBudget, present: number, scale: number): Expected {
  if (spec.maxUnavailable !== undefined)
    return { pods: scale, healthy: Math.max(0, scale - scaledValue(spec.maxUnavailable, scale, "up")) };
  if (typeof spec.minAvailable === "string")
    return { pods: scale, healthy: scaledValue(spec.minAvailable, scale, "up") };
  return spec.minAvailable === undefined ? { pods: 0, healthy: 0 } : { pods: present, healthy: spec.minAvailable };
}

export interface Disrupted {
  /** Pods on their way to be evicted, with the time of the eviction. */
  readonly pods: Readonly<Record<string, string>>;
  /** Pods that should have gone long ago. */
  readonly overdue: readonly Pod[];
  /** Milliseconds until the next of them is overdue. */
  readonly wait_ms: number | undefined;
}

/** The evictions that are still under way. */
export function disruptedOf({ status }: PodDisruptionBudget, pods: readonly Pod[], now_ms: number): Disrupted {
  const underWay: Record<string, string> = {};
  const overdue: Pod[] = [];
  let wait_ms: number | undefined;
  for (const pod of pods) {
    const { name = "", deletionTimestamp } = pod.metadata;
    const since = status?.disruptedPods?.[name];
    if (since === undefined || deletionTimestamp) continue;
    const left_ms = Date.parse(since) + evictionPatience_ms - now_ms;
    if (left_ms < 0) {
      overdue.push(pod);
      continue;
    }
    underWay[name] = since;
    wait_ms = Math.min(wait_ms ?? left_ms, left_ms);
  }
  return { pods: underWay, overdue, wait_ms };
}

/** The status that follows. */
export function budgetStatus(
  budget: PodDisruptionBudget,
  pods: readonly Pod[],
  expected: Expected,
  disrupted: Disrupted,
  now: string,
): PodDisruptionBudgetStatus {
  const currentHealthy = pods.filter(
    (pod) =>
      !pod.metadata.deletionTimestamp && !Object.hasOwn(disrupted.pods, pod.metadata.name ?? "") && isPodReady(pod),
  ).length;
  const spare = currentHealthy - expected.healthy;
  const disruptionsAllowed = expected.pods > 0 ? Math.max(0, spare) : 0;
  const { generation } = budget.metadata;
  const isSufficient = disruptionsAllowed > 0;
  return {
    currentHealthy,
    desiredHealthy: expected.healthy,
    expectedPods: expected.pods,
    disruptionsAllowed,
    ...(Object.keys(disrupted.pods).length > 0 ? { disruptedPods: { ...disrupted.pods } } : {}),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    conditions: withCondition(
      budget,
      {
        status: isSufficient ? "True" : "False",
        reason: isSufficient ? "SufficientPods" : "InsufficientPods",
        message: "",
        ...(generation === undefined ? {} : { observedGeneration: generation }),
      },
      now,
    ),
  };
}

/** Nothing may be disrupted while it is not known what would follow. */
export function failedStatus(budget: PodDisruptionBudget, message: string, now: string): PodDisruptionBudgetStatus {
  const { status } = budget;
  const observedGeneration = status?.observedGeneration;
  const wanted = {
    status: "False",
    reason: "SyncFailed",
    message,
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
  };
  return {
    currentHealthy: 0,
    desiredHealthy: 0,
    expectedPods: 0,
    ...status,
    disruptionsAllowed: 0,
    conditions: withCondition(budget, wanted, now),
  };
}

function withCondition(
  { status }: PodDisruptionBudget,
  wanted: Omit<Condition, "type" | "lastTransitionTime">,
  now: string,
): Condition[] {
  const type = "DisruptionAllowed";
  const present = status?.conditions?.find((condition) => condition.type === type);
  const others = (status?.conditions ?? []).filter((condition) => condition.type !== type);
  const lastTransitionTime = present?.status === wanted.status ? present.lastTransitionTime : now;
  return [...others, { type, ...wanted, lastTransitionTime }];
}

/** Milliseconds until the mark that a pod is about to be disrupted is stale: nothing has come of it. Undefined when the
 *  pod bears no such mark. */
export function staleMark_ms(pod: Pod, now_ms: number): number | undefined {
  const mark = podConditionOf(pod, "DisruptionTarget");
  if (!isPodActive(pod) || mark?.status !== "True" || mark.reason === "TerminationByKubelet") return undefined;
  return Math.max(0, Date.parse(mark.lastTransitionTime ?? "") + evictionPatience_ms - now_ms);
}
