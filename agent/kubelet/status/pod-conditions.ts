import type { ContainerStatus, Pod, PodCondition } from "#shared/api/types/core-v1.generated.ts";
import { isRestartableInit } from "../pod-containers.ts";

/** Conditions that the kubelet alone writes. */
export const kubeletConditions: ReadonlySet<string> = new Set([
  "PodReadyToStartContainers",
  "Initialized",
  "Ready",
  "ContainersReady",
  "PodScheduled",
  "PodResizePending",
  "PodResizeInProgress",
]);

/** Written by others too: the kubelet sets it and never takes it away. */
export const sharedConditions: ReadonlySet<string> = new Set(["DisruptionTarget"]);

type Verdict = Pick<PodCondition, "status" | "reason" | "message">;
const isTrue: Verdict = { status: "True" };
const isFalse = (reason: string, message?: string): Verdict => ({
  status: "False",
  reason,
  ...(message === undefined ? {} : { message }),
});

export interface ConditionInput {
  readonly pod: Pod;
  readonly phase: string;
  /** Of init and regular containers. */
  readonly statuses: readonly ContainerStatus[];
  /** A sandbox with network serves. */
  readonly sandboxReady: boolean;
  /** Conditions in force, the kubelet's own and those of others: readiness gates look them up. */
  readonly others: readonly PodCondition[];
}

/** The conditions a kubelet owns, without transition times. Reasons and messages as upstream's status/generate.go. */
export function podConditions(input: ConditionInput): PodCondition[] {
  const containersReady = containersReadyVerdict(input);
  const conditions: readonly (readonly [string, Verdict])[] = [
    ["PodReadyToStartContainers", input.sandboxReady ? isTrue : { status: "False" }],
    ["Initialized", initializedVerdict(input)],
    ["Ready", containersReady.status === "True" ? gatesVerdict(input) : containersReady],
    ["ContainersReady", containersReady],
    ["PodScheduled", isTrue],
  ];
  const { generation } = input.pod.metadata;
  return conditions.map(([type, verdict]) => ({
    type,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...verdict,
  }));
}

function containersReadyVerdict({ pod, phase, statuses }: ConditionInput): Verdict {
  if (statuses.length === 0) return isFalse("UnknownContainerStatuses");
  const byName = new Map(statuses.map((status) => [status.name, status]));
  const names = [...(pod.spec.initContainers ?? []).filter(isRestartableInit), ...pod.spec.containers].map(
    ({ name }) => name,
  );
  const unknown = names.filter((name) => !byName.has(name));
  const unready = names.filter((name) => byName.get(name)?.ready === false);
  if (phase === "Succeeded" && unknown.length === 0) return isFalse("PodCompleted");
  if (phase === "Failed") return isFalse("PodFailed");
  const message = describe(unknown, unready, "unready");
  return message === "" ? isTrue : isFalse("ContainersNotReady", message);
}

function gatesVerdict({ pod, others }: ConditionInput): Verdict {
  const faults = (pod.spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const condition = others.find(({ type }) => type === conditionType);
    if (!condition) return `corresponding condition of pod readiness gate "${conditionType}" does not exist.`;
    if (condition.status === "True") return [];
    return `the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`;
  });
  return faults.length === 0 ? isTrue : isFalse("ReadinessGatesNotReady", faults.join(", "));
}

function initializedVerdict({ pod, phase, statuses }: ConditionInput): Verdict {
  const inits = pod.spec.initContainers ?? [];
  if (statuses.length === 0 && inits.length > 0) return isFalse("UnknownContainerStatuses");
  const byName = new Map(statuses.map((status) => [status.name, status]));
  const unknown = inits.filter(({ name }) => !byName.has(name)).map(({ name }) => name);
  const incomplete = inits
    .filter((container) => {
      const status = byName.get(container.name);
      return status !== undefined && (isRestartableInit(container) ? status.started !== true : !status.ready);
    })
    .map(({ name }) => name);
  if (phase === "Succeeded" && unknown.length === 0) return { status: "True", reason: "PodCompleted" };
  const anyStarted = pod.spec.containers.some(({ name }) => {
    const state = byName.get(name)?.state;
    return state?.running !== undefined || state?.terminated !== undefined;
  });
  if (anyStarted) return isTrue;
  const message = describe(unknown, incomplete, "incomplete");
  return message === "" ? isTrue : isFalse("ContainersNotInitialized", message);
}

function describe(unknown: readonly string[], faulty: readonly string[], fault: string): string {
  return [
    ...(unknown.length > 0 ? [`containers with unknown status: [${unknown.join(" ")}]`] : []),
    ...(faulty.length > 0 ? [`containers with ${fault} status: [${faulty.join(" ")}]`] : []),
  ].join(", ");
}

/** Carries transition times over from the old conditions: a new one only where the status changed. */
export function withTransitionTimes(
  conditions: readonly PodCondition[],
  old: readonly PodCondition[],
  now: string,
): PodCondition[] {
  return conditions.map((condition) => {
    const before = old.find(({ type }) => type === condition.type);
    const kept = before?.status === condition.status ? before.lastTransitionTime : undefined;
    return { ...condition, lastTransitionTime: kept ?? now };
  });
}
