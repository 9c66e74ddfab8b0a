import type { ContainerStatus as RuntimeStatus } from "#agent/runtime/runtime.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { Container, ContainerState, ContainerStatus, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ObservedPod, ProbeResult } from "../planner/observed-pod.ts";
import { latest } from "../planner/observed-pod.ts";
import { shouldRun } from "../planner/restart-policy.ts";
import { type ContainerType, isRestartableInit, podContainers } from "../pod-containers.ts";

/** Why a container that should run does not: `ImagePullBackOff` and the like. */
export interface WaitingReason {
  readonly reason: string;
  readonly message: string;
}

export interface ContainerStatusInput {
  readonly pod: Pod;
  readonly observed: ObservedPod;
  /** The statuses last published: what the runtime has forgotten since is kept from them. */
  readonly old: readonly ContainerStatus[];
  readonly waiting: ReadonlyMap<string, WaitingReason>;
  readonly readiness: ReadonlyMap<string, ProbeResult>;
  /** `docker`, the scheme of container ids. */
  readonly runtimeName: string;
  /** Last lines that a container left to tell of its end, by container id. */
  terminationMessage(status: RuntimeStatus): string;
  /** Can the runtime make read-only what is mounted below a read-only mount? */
  readonly recursiveReadOnly: boolean;
  /** Containers that ran before this kubelet did keep their readiness until a probe says otherwise. */
  readonly kubeletStartedAt_ms: number;
}

const restartGrace_ms = 10_000;
/** What the last words of all containers of a pod may come to, bytes (upstream's figure): each gets an equal part. */
const mostMessages_bytes = 12 * 1024;

/**
 * Statuses of all containers of one type: those of init containers in the order of the spec, others by name. As upstream's
 * convertToAPIContainerStatuses.
 */
export function containerStatuses(type: ContainerType, input: ContainerStatusInput): ContainerStatus[] {
  const statuses = podContainers(input.pod.spec)
    .filter((entry) => entry.type === type)
    .map(({ container }) => {
      const status = stateOf(type, container, input);
      return type === "ephemeral" ? status : { ...status, ...readinessOf(type, container, status, input) };
    });
  return type === "init" ? statuses : statuses.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function stateOf(type: ContainerType, container: Container, input: ContainerStatusInput): ContainerStatus {
  const attempts = input.observed.containers.filter(({ name }) => name === container.name);
  const old = input.old.find(({ name }) => name === container.name);
  const [current, previous] = attempts;
  const status = current
    ? {
        ...fromRuntime(container, current, old, input),
        ...(previous ? { lastState: stateFromRuntime(previous, input) } : keptLastState(current, old, input)),
      }
    : fromNothing(container, old, input);

  const done = type === "init" && current?.state === "exited" && current.exitCode === 0;
  const waiting = input.waiting.get(container.name);
  if (done || !waiting || !shouldRun(container, input.pod, input.observed)) return status;
  return {
    ...status,
    ...(status.state?.terminated ? { lastState: status.state } : {}),
    state: { waiting: { reason: waiting.reason, ...(waiting.message ? { message: waiting.message } : {}) } },
  };
}

function fromRuntime(
  container: Container,
  current: RuntimeStatus,
  old: ContainerStatus | undefined,
  input: ContainerStatusInput,
): ContainerStatus {
  const state: ContainerState =
    current.state === "unknown" && old?.state?.running
      ? { terminated: lost("The container could not be located when the pod was terminated") }
      : stateFromRuntime(current, input);
  return {
    name: container.name,
    state,
    ready: false,
    restartCount: current.attempt,
    image: current.image,
    imageID: current.imageId,
    containerID: `${input.runtimeName}://${current.id}`,
    ...(old?.started === undefined ? {} : { started: old.started }),
    ...(container.resources?.requests ? { allocatedResources: container.resources.requests } : {}),
    ...resourcesOf(container, current, input.observed),
    ...mountsOf(container, input.recursiveReadOnly),
    ...(old?.user && old.containerID?.endsWith(current.id) ? { user: old.user } : {}),
  };
}

/** What a running container has; what any other was granted. */
function resourcesOf(
  container: Container,
  current: RuntimeStatus,
  observed: ObservedPod,
): Pick<ContainerStatus, "resources"> {
  const actual = current.state === "running" ? observed.resources.get(current.id) : undefined;
  const resources = actual ?? container.resources;
  return resources ? { resources } : {};
}

/** The container before the last is gone from the runtime: what was published of it stays. */
function keptLastState(
  current: RuntimeStatus,
  old: ContainerStatus | undefined,
  input: ContainerStatusInput,
): { lastState?: ContainerState } {
  const id = `${input.runtimeName}://${current.id}`;
  const last = old?.lastState?.terminated;
  // While it waited for another start, its own end was shown as the last one.
  if (old?.containerID === id && last && last.containerID !== id) return { lastState: { terminated: last } };
  if (current.attempt > 0 && old?.state?.terminated && old.containerID !== id) return { lastState: old.state };
  return {};
}

function fromNothing(
  container: Container,
  old: ContainerStatus | undefined,
  input: ContainerStatusInput,
): ContainerStatus {
  if (old?.state?.terminated) return old;
  const reason = input.pod.spec.initContainers?.length ? "PodInitializing" : "ContainerCreating";
  const fresh: ContainerStatus = {
    name: container.name,
    state: { waiting: { reason } },
    ready: false,
    restartCount: old?.restartCount ?? 0,
    image: container.image ?? "",
    imageID: "",
    ...(old?.lastState && Object.keys(old.lastState).length > 0 ? { lastState: old.lastState } : {}),
    ...mountsOf(container, input.recursiveReadOnly),
  };
  if (!old?.state?.running || fresh.lastState?.terminated) return fresh;
  return {
    ...fresh,
    restartCount: fresh.restartCount + (input.pod.metadata.deletionTimestamp === undefined ? 1 : 0),
    lastState: {
      terminated: lost(
        "The container could not be located when the pod was deleted.  The container used to be Running",
      ),
    },
  };
}

const lost = (message: string) => ({ exitCode: 137, reason: "ContainerStatusUnknown", message });

function stateFromRuntime(status: RuntimeStatus, input: ContainerStatusInput): ContainerState {
  switch (status.state) {
    case "running":
      return { running: { startedAt: rfc3339(status.startedAt_ms ?? status.createdAt_ms) } };
    case "exited": {
      const said = [status.error ?? "", input.terminationMessage(status)].filter((part) => part !== "").join(": ");
      const message = cut(said, Math.floor(mostMessages_bytes / podContainers(input.pod.spec).length));
      return {
        terminated: {
          exitCode: status.exitCode ?? 0,
          ...(status.signal === undefined ? {} : { signal: status.signal }),
          reason: endReason(status),
          ...(message === "" ? {} : { message }),
          startedAt: rfc3339(status.startedAt_ms ?? status.createdAt_ms),
          finishedAt: rfc3339(status.finishedAt_ms ?? status.createdAt_ms),
          containerID: `${input.runtimeName}://${status.id}`,
        },
      };
    }
    default:
      return { waiting: {} };
  }
}

function cut(text: string, most_bytes: number): string {
  if (Buffer.byteLength(text) <= most_bytes) return text;
  // A character that does not fit whole is left out.
  return new TextDecoder().decode(Buffer.from(text).subarray(0, most_bytes), { stream: true });
}

function endReason(status: RuntimeStatus): string {
  if (status.oomKilled) return "OOMKilled";
  if (status.startedAt_ms === undefined && status.error) return "ContainerCannotRun";
  return status.exitCode === 0 ? "Completed" : "Error";
}

function mountsOf(container: Container, isSupported: boolean): Pick<ContainerStatus, "volumeMounts"> {
  if (!container.volumeMounts?.length) return {};
  return {
    volumeMounts: container.volumeMounts.map(({ name, mountPath, readOnly, recursiveReadOnly }) => ({
      name,
      mountPath,
      ...(readOnly
        ? { readOnly, recursiveReadOnly: isSupported && isAsked(recursiveReadOnly) ? "Enabled" : "Disabled" }
        : {}),
    })),
  };
}

const isAsked = (mode: string | undefined): boolean => mode === "Enabled" || mode === "IfPossible";

function readinessOf(
  type: ContainerType,
  container: Container,
  status: ContainerStatus,
  input: ContainerStatusInput,
): { ready: boolean; started: boolean } {
  const started = isStarted(container, status, input);
  if (type === "init" && !isRestartableInit(container)) {
    return { started, ready: status.state?.terminated?.exitCode === 0 };
  }
  return { started, ready: started && isReady(container, status, input) };
}

function isStarted(container: Container, status: ContainerStatus, input: ContainerStatusInput): boolean {
  if (!status.state?.running) return false;
  const current = latest(input.observed, container.name);
  const result = current && input.observed.startup.get(current.id);
  if (result !== undefined) return result === "success";
  const old = input.old.find(({ name }) => name === container.name);
  if (old?.containerID === status.containerID && old?.started === true) return true;
  return container.startupProbe === undefined;
}

function isReady(container: Container, status: ContainerStatus, input: ContainerStatusInput): boolean {
  if (!status.state?.running) return false;
  if (!container.readinessProbe) return true;
  const current = latest(input.observed, container.name);
  const result = current && input.readiness.get(current.id);
  if (result !== undefined) return result === "success";
  const old = input.old.find(({ name }) => name === container.name);
  const startedAt_ms = current?.startedAt_ms ?? Number.POSITIVE_INFINITY;
  return (
    startedAt_ms < input.kubeletStartedAt_ms - restartGrace_ms &&
    old?.containerID === status.containerID &&
    old?.ready === true
  );
}
