import { rfc3339 } from "#shared/api/time.ts";
import type { ContainerStatus, Pod, PodCondition, PodStatus } from "#shared/api/types/core-v1.generated.ts";
import { podIPs, readySandbox } from "../planner/observed-pod.ts";
import { judgeSandbox } from "../planner/plan-pod.ts";
import { isRestartableInit, isStaticPod, isTerminalPhase } from "../pod-containers.ts";
import { podQosClass } from "../pod-qos.ts";
import { type ContainerStatusInput, containerStatuses } from "./container-statuses.ts";
import { kubeletConditions, podConditions, withTransitionTimes } from "./pod-conditions.ts";
import { podPhase } from "./pod-phase.ts";

export interface Failure {
  readonly reason: string;
  readonly message: string;
  /** Message of its condition DisruptionTarget, where it fails for the board's sake: who counts disruptions, or ignores
   *  failures by them, is told. */
  readonly disruption?: string | undefined;
}

export interface PodStatusInput extends Omit<ContainerStatusInput, "old"> {
  /** The status last published, else the API's. */
  readonly oldStatus: PodStatus;
  /** All has been stopped because the pod was told to end. */
  readonly ended: boolean;
  /** The pod fails for a reason beside its containers: evicted, past its deadline, refused. */
  readonly failure?: Failure | undefined;
  /** Addresses of the board, the main one first. */
  readonly hostIPs: readonly string[];
  readonly now_ms: number;
  /** Conditions beside those that containers add up to. */
  readonly moreConditions: readonly PodCondition[];
}

/** A pod's status from what is observed, as upstream's generateAPIPodStatus. */
export function podStatus(input: PodStatusInput): PodStatus {
  const { pod, oldStatus, observed } = input;
  const of = (type: "init" | "regular" | "ephemeral", old: readonly ContainerStatus[] | undefined) =>
    containerStatuses(type, { ...input, old: old ?? [] });
  const initContainerStatuses = of("init", oldStatus.initContainerStatuses);
  const regular = of("regular", oldStatus.containerStatuses);
  const ephemeralContainerStatuses = of("ephemeral", oldStatus.ephemeralContainerStatuses);
  const statuses = [...initContainerStatuses, ...regular];

  const { phase, reason, message } = settlePhase(input, statuses);
  const now = rfc3339(input.now_ms);
  const ofOthers = (pod.status?.conditions ?? []).filter(({ type }) => !kubeletConditions.has(type));
  const disruption = disruptionOf(input);
  const others = disruption ? ofOthers.filter(({ type }) => type !== disruption.type) : ofOthers;
  const own = podConditions({
    pod,
    phase,
    statuses,
    sandboxReady: !judgeSandbox(pod, observed).change,
    others,
  });
  return {
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    phase,
    ...(reason ? { reason } : {}),
    ...(message ? { message } : {}),
    conditions: [
      ...others,
      ...withTransitionTimes(
        [...input.moreConditions, ...own, ...(disruption ? [disruption] : [])],
        oldStatus.conditions ?? [],
        now,
      ),
    ],
    ...addresses(input),
    startTime: oldStatus.startTime ?? now,
    ...(initContainerStatuses.length > 0 ? { initContainerStatuses } : {}),
    containerStatuses: regular,
    ...(ephemeralContainerStatuses.length > 0 ? { ephemeralContainerStatuses } : {}),
    qosClass: podQosClass(pod),
  };
}

function settlePhase(
  input: PodStatusInput,
  statuses: readonly ContainerStatus[],
): { phase: string; reason?: string | undefined; message?: string | undefined } {
  const { pod, oldStatus, observed, failure } = input;
  const sandbox = readySandbox(observed);
  const regularNames = new Set(pod.spec.containers.map(({ name }) => name));
  const computed = podPhase({
    spec: pod.spec,
    statuses,
    ended: input.ended,
    isStatic: isStaticPod(pod),
    anyRegularActive: observed.containers.some(
      ({ name, sandboxId }) => regularNames.has(name) && sandboxId === sandbox?.id,
    ),
  });
  // A phase that is final never changes again.
  const final = [pod.status?.phase, oldStatus.phase].find(isTerminalPhase);
  if (failure && final !== "Succeeded") return { phase: "Failed", reason: failure.reason, message: failure.message };
  const phase = final ?? computed;
  if (phase !== oldStatus.phase) {
    // Somebody else has settled it, and said why.
    const { reason, message } = pod.status?.phase === phase ? pod.status : {};
    return { phase, reason, message };
  }
  return {
    phase,
    reason: oldStatus.reason ?? pod.status?.reason,
    message: oldStatus.message ?? pod.status?.message,
  };
}

function disruptionOf({ failure, pod }: PodStatusInput): PodCondition | undefined {
  if (failure?.disruption === undefined) return undefined;
  const { generation: observedGeneration } = pod.metadata;
  return {
    type: "DisruptionTarget",
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
    status: "True",
    reason: "TerminationByKubelet",
    message: failure.disruption,
  };
}

function addresses(input: PodStatusInput): Partial<PodStatus> {
  const { pod, observed, hostIPs, oldStatus } = input;
  const host = hostIPs[0];
  const ofHost = host === undefined ? {} : { hostIP: host, hostIPs: hostIPs.map((ip) => ({ ip })) };
  const own = pod.spec.hostNetwork ? hostIPs : podIPs(observed);
  // A pod keeps the address it had until another sandbox serves: logs and statuses refer to it.
  const known = own.length > 0 || readySandbox(observed) ? own : (oldStatus.podIPs ?? []).map(({ ip }) => ip);
  const first = known[0];
  return { ...ofHost, ...(first === undefined ? {} : { podIP: first, podIPs: known.map((ip) => ({ ip })) }) };
}

/** Of a pod that the board did not take: nothing of it was here, so the kubelet has no condition and no address to tell. */
export function rejectedStatus(status: PodStatus): PodStatus {
  const { observedGeneration, phase, reason, message, startTime, qosClass, conditions = [] } = status;
  return {
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
    phase,
    reason,
    message,
    conditions: conditions.filter(({ type }) => !kubeletConditions.has(type)),
    startTime,
    qosClass,
  };
}

/**
 * The end of a pod whose containers are gone without a trace: no container is left unterminated, and the phase is final; its
 * conditions are those of what it was before. As upstream's TerminatePod.
 * @param pod as the API has it: containers that it has not begun with never ran
 */
export function terminatedStatus(status: PodStatus, pod: Pod): PodStatus {
  const lost = {
    terminated: {
      exitCode: 137,
      reason: "ContainerStatusUnknown",
      message: "The container could not be located when the pod was terminated",
    },
  };
  const end = (container: ContainerStatus): ContainerStatus =>
    container.state?.terminated ? container : { ...container, state: lost };
  const inits = status.initContainerStatuses ?? [];
  const lastRun = inits.findLastIndex(({ state, lastState }) => !state?.waiting || lastState?.terminated !== undefined);
  return {
    ...status,
    ...(inits.length > 0
      ? { initContainerStatuses: inits.map((init, index) => (index <= Math.max(lastRun, 0) ? end(init) : init)) }
      : {}),
    ...(status.containerStatuses && hasInitialized(pod)
      ? { containerStatuses: status.containerStatuses.map(end) }
      : {}),
    phase: isTerminalPhase(status.phase) ? status.phase : "Failed",
  };
}

function hasInitialized({ spec, status = {} }: Pod): boolean {
  const lastInit = spec.initContainers?.at(-1);
  if (!lastInit) return true;
  const hasBegun = ({ state, lastState }: ContainerStatus): boolean =>
    !state?.waiting || lastState?.terminated !== undefined;
  if (status.containerStatuses?.some(hasBegun)) return true;
  const last = status.initContainerStatuses?.find(({ name }) => name === lastInit.name);
  if (isRestartableInit(lastInit)) return last?.state?.running !== undefined && last.started === true;
  return [last?.state, last?.lastState].some((state) => state?.terminated?.exitCode === 0);
}
