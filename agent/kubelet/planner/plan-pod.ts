import type { ContainerStatus, SandboxStatus } from "#agent/runtime/runtime.ts";
import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";
import { containerHash, hashOf } from "../container-identity.ts";
import { findContainer, isRestartableInit } from "../pod-containers.ts";
import { latest, type ObservedPod } from "./observed-pod.ts";
import { type ContainerKill, planInitContainers } from "./plan-init-containers.ts";
import type { PodPlan, PodStep } from "./pod-step.ts";
import { resizeWay } from "./resize.ts";
import { shouldRun } from "./restart-policy.ts";

export interface DesiredPod {
  readonly pod: Pod;
  /** Set when the pod must end: deleted, evicted, past its deadline, or refused. */
  readonly termination?: { readonly grace_s: number | undefined } | undefined;
}

/**
 * Next steps for one pod; empty when observed already is what the spec asks for. Level-based: no history but what the
 * runtime, the probes and the back-off show. Follows upstream's kuberuntime computePodActions; container order follows
 * KEP-753 (sidecars).
 */
export function planPod(desired: DesiredPod, observed: ObservedPod, now_ms: number): PodPlan {
  const { pod, termination } = desired;
  if (termination) return { steps: isStopped(observed) ? [] : [{ kind: "killPod", grace_s: termination.grace_s }] };

  const sandbox = judgeSandbox(pod, observed);
  return sandbox.change
    ? planNewSandbox(pod, observed, sandbox.attempt, now_ms)
    : planContainers(pod, observed, now_ms);
}

/** Nothing of the pod runs any more, its sandbox included. */
export function isStopped(observed: Pick<ObservedPod, "sandboxes" | "containers">): boolean {
  return (
    observed.containers.every(({ state }) => state !== "running") &&
    observed.sandboxes.every(({ state }) => state !== "ready")
  );
}

/** Does the pod need another sandbox, and which attempt would it be? */
export function judgeSandbox(
  pod: Pod,
  observed: Pick<ObservedPod, "sandboxes">,
): { readonly change: boolean; readonly attempt: number; readonly sandbox?: SandboxStatus | undefined } {
  const newest = observed.sandboxes[0];
  if (!newest) return { change: true, attempt: 0 };
  const readyCount = observed.sandboxes.filter(({ state }) => state === "ready").length;
  const withoutAddress = pod.spec.hostNetwork !== true && newest.ips.length === 0;
  return readyCount !== 1 || newest.state !== "ready" || withoutAddress
    ? { change: true, attempt: newest.attempt + 1, sandbox: newest }
    : { change: false, attempt: newest.attempt, sandbox: newest };
}

function planNewSandbox(pod: Pod, observed: ObservedPod, attempt: number, now_ms: number): PodPlan {
  const clear: PodStep[] = isStopped(observed) ? [] : [{ kind: "killPod" }];
  if (pod.spec.restartPolicy === "Never" && attempt !== 0 && observed.containers.length > 0) return { steps: clear };

  const wanted = pod.spec.containers.filter((container) => {
    const last = latest(observed, container.name);
    const once = (container.restartPolicy ?? pod.spec.restartPolicy) === "OnFailure";
    return !(once && last?.state === "exited" && last.exitCode === 0);
  });
  const everCreated = pod.spec.containers.some(({ name }) => latest(observed, name) !== undefined);
  // Nor does a pod without containers, which no API server lets in: it would get one sandbox after the other.
  if (wanted.length === 0 && (everCreated || pod.spec.containers.length === 0)) return { steps: clear };

  // Init containers run anew in a new sandbox, so what is left of them goes away.
  const initNames = new Set((pod.spec.initContainers ?? []).map(({ name }) => name));
  const oldInits = observed.containers.filter(({ name }) => initNames.has(name));
  const firstInit = pod.spec.initContainers?.[0];
  const start = firstInit ? [firstInit] : wanted;
  return assemble(
    pod,
    observed,
    [
      ...clear,
      ...oldInits.map(({ id }) => ({ kind: "removeContainer" as const, containerId: id })),
      ...present(pod),
      { kind: "createSandbox", attempt },
    ],
    start,
    now_ms,
  );
}

function planContainers(pod: Pod, observed: ObservedPod, now_ms: number): PodPlan {
  const ephemeral = (pod.spec.ephemeralContainers ?? []).filter(({ name }) => !latest(observed, name));
  const init = planInitContainers(pod, observed);
  if (init.failed) return { steps: isStopped(observed) ? [] : [{ kind: "killPod" }] };

  const initStart = init.start.flatMap((name) => findContainer(pod.spec, name)?.container ?? []);
  const before = [...init.kill.map(killStep), ...staleInits(pod, observed), ...init.resize.map(resizeStep)];
  if (!init.initialized) return assemble(pod, observed, before, [...ephemeral, ...initStart], now_ms);

  const regular = pod.spec.containers.map((container) => judgeRegular(container, pod, observed));
  const start = regular.flatMap(({ start }) => start ?? []);
  const kept = regular.filter(({ keep }) => keep).length;
  if (kept === 0 && start.length === 0) {
    // All regular containers are through; sidecars end with them.
    return { steps: isStopped(observed) ? [] : [{ kind: "killPod" }] };
  }
  const kills = regular.flatMap(({ kill }) => (kill ? [killStep(kill)] : []));
  const resizes = regular.flatMap(({ resize }) => (resize ? [resizeStep(resize)] : []));
  return assemble(pod, observed, [...kills, ...before, ...resizes], [...ephemeral, ...initStart, ...start], now_ms);
}

interface RegularVerdict {
  readonly keep: boolean;
  readonly start?: Container;
  readonly kill?: ContainerKill;
  readonly resize?: { readonly container: string; readonly containerId: string };
}

function judgeRegular(container: Container, pod: Pod, observed: ObservedPod): RegularVerdict {
  const status = latest(observed, container.name);
  if (status?.state !== "running") {
    if (!shouldRun(container, pod, observed)) return { keep: false };
    const kill: ContainerKill | undefined =
      status?.state === "unknown"
        ? {
            container: container.name,
            containerId: status.id,
            message: `Container is in "unknown" state, try killing it before restart`,
            reason: "unknown-state",
          }
        : undefined;
    return { keep: false, start: container, ...(kill ? { kill } : {}) };
  }
  const fault = faultOf(container, status, observed);
  if (!fault) return judgeResize(container, status, observed);
  const restart = fault.reason === "spec-changed" || (container.restartPolicy ?? pod.spec.restartPolicy) !== "Never";
  const message = `Container ${container.name} ${fault.what}${restart ? ", will be restarted" : ""}`;
  return {
    keep: false,
    ...(restart ? { start: container } : {}),
    kill: { container: container.name, containerId: status.id, message, reason: fault.reason },
  };
}

function judgeResize(container: Container, status: ContainerStatus, observed: ObservedPod): RegularVerdict {
  const { name } = container;
  const target = { container: name, containerId: status.id };
  switch (resizeWay(container, observed.resources.get(status.id) ?? container.resources ?? {})) {
    case "none":
      return { keep: true };
    case "in-place":
      return { keep: true, resize: target };
    case "restart": {
      const message = `Container ${name} resize requires restart`;
      return { keep: false, start: container, kill: { ...target, message, reason: "resize" } };
    }
  }
}

function faultOf(
  container: Container,
  status: ContainerStatus,
  observed: ObservedPod,
): { readonly what: string; readonly reason: ContainerKill["reason"] } | undefined {
  const hash = hashOf(status);
  if (hash !== undefined && hash !== containerHash(container)) {
    return { what: "definition changed", reason: "spec-changed" };
  }
  if (observed.liveness.get(status.id) === "failure")
    return { what: "failed liveness probe", reason: "liveness-probe" };
  if (observed.startup.get(status.id) === "failure") return { what: "failed startup probe", reason: "startup-probe" };
  return undefined;
}

/** What a pod needs on the board before its containers. */
const present = ({ spec }: Pod): PodStep[] => [
  { kind: "mountVolumes" },
  ...(spec.resourceClaims?.length ? [{ kind: "prepareClaims" as const }] : []),
];

const killStep = (kill: ContainerKill): PodStep => ({ kind: "killContainer", ...kill });
const resizeStep = (target: { readonly container: string; readonly containerId: string }): PodStep => ({
  kind: "resizeContainer",
  ...target,
});

/** Of ended init containers only the newest attempt of each is kept. */
function staleInits(pod: Pod, observed: ObservedPod): PodStep[] {
  return (pod.spec.initContainers ?? []).flatMap(({ name }) =>
    observed.containers
      .filter((status) => status.name === name && (status.state === "exited" || status.state === "unknown"))
      .slice(1)
      .map(({ id }) => ({ kind: "removeContainer" as const, containerId: id })),
  );
}

/** The steps before, then those that start each container, or what each waits for. */
function assemble(
  pod: Pod,
  observed: ObservedPod,
  before: readonly PodStep[],
  start: readonly Container[],
  now_ms: number,
): PodPlan {
  const steps: PodStep[] = [];
  let wakeAt_ms: number | undefined;
  let starts = false;
  for (const container of start) {
    const last = latest(observed, container.name);
    const ended = observed.containers.find(({ name, state }) => name === container.name && state === "exited");
    const wait = ended && observed.backOff(container, ended.finishedAt_ms ?? ended.createdAt_ms);
    if (wait && wait.until_ms > now_ms) {
      steps.push({
        kind: "waitBackOff",
        container: container.name,
        until_ms: wait.until_ms,
        delay_ms: wait.delay_ms,
      });
      wakeAt_ms = Math.min(wakeAt_ms ?? wait.until_ms, wait.until_ms);
      // An ordinary init container holds up all after it.
      if (isOrdinaryInit(pod, container.name)) break;
      continue;
    }
    starts = true;
    if (last?.state === "created") steps.push({ kind: "removeContainer", containerId: last.id });
    steps.push({ kind: "pullImage", container: container.name });
    steps.push({
      kind: "startContainer",
      container: container.name,
      // One that was made but never started gives its number to the next.
      attempt: last === undefined ? 0 : last.state === "created" ? last.attempt : last.attempt + 1,
      lastFinishedAt_ms: ended ? (ended.finishedAt_ms ?? ended.createdAt_ms) : undefined,
    });
    if (container.lifecycle?.postStart) steps.push({ kind: "runPostStart", container: container.name });
  }
  const mounted = before.some(({ kind }) => kind === "mountVolumes");
  return {
    steps: [...before, ...(starts && !mounted ? present(pod) : []), ...steps],
    wakeAt_ms,
  };
}

/** Does a failure to start this container hold up the rest of the plan? */
export function isOrdinaryInit(pod: Pod, name: string): boolean {
  const init = pod.spec.initContainers?.find((container) => container.name === name);
  return init !== undefined && !isRestartableInit(init);
}
