import type { Container, ContainerStatus, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import { restartsAfterExit } from "../planner/restart-policy.ts";
import { isRestartableInit } from "../pod-containers.ts";

export interface PhaseInput {
  readonly spec: PodSpec;
  /** Of init and regular containers. */
  readonly statuses: readonly ContainerStatus[];
  /** The pod has been told to end and has: what would restart does not. */
  readonly ended: boolean;
  /** A regular container exists in the sandbox that serves. */
  readonly anyRegularActive: boolean;
  readonly isStatic: boolean;
}

interface Tally {
  unknown: number;
  running: number;
  waiting: number;
  stopped: number;
  stoppedForGood: number;
  succeeded: number;
  initPending: number;
  sidecarPending: number;
  initFailedForGood: number;
}

/** The phase that container statuses add up to, as upstream's getPhase. */
export function podPhase(input: PhaseInput): "Pending" | "Running" | "Succeeded" | "Failed" {
  const tally: Tally = {
    unknown: 0,
    running: 0,
    waiting: 0,
    stopped: 0,
    stoppedForGood: 0,
    succeeded: 0,
    initPending: 0,
    sidecarPending: 0,
    initFailedForGood: 0,
  };
  const byName = new Map(input.statuses.map((status) => [status.name, status]));
  for (const container of input.spec.initContainers ?? []) {
    const status = byName.get(container.name);
    if (isRestartableInit(container)) countSidecar(tally, status);
    else countInit(tally, container, status, input.spec);
  }
  for (const container of input.spec.containers) {
    countRegular(tally, container, byName.get(container.name), input.spec);
  }

  if (tally.initFailedForGood > 0) return "Failed";
  if (tally.initPending > 0 || (tally.sidecarPending > 0 && !input.anyRegularActive) || tally.waiting > 0) {
    return "Pending";
  }
  if (tally.unknown > 0) return "Pending";
  if (tally.running > 0) return "Running";
  if (tally.stopped === 0) return "Pending";
  const outcome = tally.stopped === tally.succeeded ? "Succeeded" : "Failed";
  if (input.ended && !input.isStatic) return outcome;
  return tally.stopped === tally.stoppedForGood ? outcome : "Running";
}

const exitOf = (status: ContainerStatus): number | undefined => {
  const { state, lastState } = status;
  return (state?.terminated ?? (state?.waiting ? lastState?.terminated : undefined))?.exitCode;
};

function countInit(tally: Tally, container: Container, status: ContainerStatus | undefined, spec: PodSpec): void {
  const exitCode = status && exitOf(status);
  if (exitCode === undefined) {
    tally.initPending++;
    return;
  }
  if (exitCode !== 0 && !restartsAfterExit(container, spec, exitCode)) tally.initFailedForGood++;
}

function countSidecar(tally: Tally, status: ContainerStatus | undefined): void {
  if (!status) {
    tally.unknown++;
    return;
  }
  const { state } = status;
  if (state?.running) {
    if (status.started !== true) tally.sidecarPending++;
    tally.running++;
  } else if (state?.waiting) {
    if (status.lastState?.terminated) return;
    tally.sidecarPending++;
    tally.waiting++;
  } else if (!state?.terminated) {
    tally.sidecarPending++;
    tally.unknown++;
  }
}

function countRegular(tally: Tally, container: Container, status: ContainerStatus | undefined, spec: PodSpec): void {
  if (!status) {
    tally.unknown++;
    return;
  }
  const { state } = status;
  if (state?.running) {
    tally.running++;
    return;
  }
  const exitCode = exitOf(status);
  if (exitCode === undefined) {
    if (state?.waiting) tally.waiting++;
    else tally.unknown++;
    return;
  }
  tally.stopped++;
  if (!restartsAfterExit(container, spec, exitCode)) tally.stoppedForGood++;
  if (state?.terminated && exitCode === 0) tally.succeeded++;
}
