import type { ContainerStatus } from "#agent/runtime/runtime.ts";
import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";
import { containerHash, hashOf } from "../container-identity.ts";
import { isRestartableInit } from "../pod-containers.ts";
import { latest, type ObservedPod } from "./observed-pod.ts";
import type { KillReason } from "./pod-step.ts";
import { resizeWay } from "./resize.ts";
import { shouldRun } from "./restart-policy.ts";

export interface ContainerKill {
  readonly container: string;
  readonly containerId: string;
  readonly message: string;
  readonly reason: KillReason;
}

export interface InitPlan {
  /** May the regular containers run? */
  readonly initialized: boolean;
  /** An init container failed for good: the pod is over. */
  readonly failed: boolean;
  /** Names, in the order to start. */
  readonly start: readonly string[];
  readonly kill: readonly ContainerKill[];
  /** Sidecars whose resources change in place. */
  readonly resize: readonly { readonly container: string; readonly containerId: string }[];
}

type Verdict =
  | { readonly kind: "go-on"; readonly start?: boolean; readonly kill?: ContainerKill; readonly resize?: boolean }
  | { readonly kind: "hold"; readonly start?: boolean; readonly kill?: ContainerKill }
  | { readonly kind: "failed" };

/**
 * Which init containers to start or kill. Ordinary ones run one after the other to success; sidecars (KEP-753) start in
 * their turn and stay. Looked at from the last to the first: the last one that has a status tells how far the pod is,
 * and once regular containers run, only sidecars are kept up.
 */
export function planInitContainers(pod: Pod, observed: ObservedPod): InitPlan {
  const inits = pod.spec.initContainers ?? [];
  const running = inits.length === 0 || anyRegularRuns(pod, observed);
  const plan: DraftPlan = { initialized: running, failed: false, start: [], kill: [], resize: [] };
  let passedNewest = running;
  for (const [index, container] of [...inits.entries()].reverse()) {
    const status = latest(observed, container.name);
    const sidecar = isRestartableInit(container);
    if (!status && passedNewest && sidecar) plan.start.push(container.name);
    if (!status || (passedNewest && !sidecar)) continue;

    const verdict = judge(container, status, pod, observed);
    if (verdict.kind === "failed") return { initialized: false, failed: true, start: [], kill: [], resize: [] };
    const target = { container: container.name, containerId: status.id };
    addVerdict(plan, verdict, target, inits[index + 1]?.name, passedNewest);
    passedNewest = true;
  }
  const first = inits[0];
  if (!passedNewest && first) plan.start.push(first.name);
  return { ...plan, start: plan.start.reverse() };
}

interface DraftPlan {
  initialized: boolean;
  readonly failed: boolean;
  readonly start: string[];
  readonly kill: ContainerKill[];
  readonly resize: { container: string; containerId: string }[];
}

function addVerdict(
  plan: DraftPlan,
  verdict: Exclude<Verdict, { kind: "failed" }>,
  target: { container: string; containerId: string },
  next: string | undefined,
  passedNewest: boolean,
): void {
  if (verdict.kind === "go-on") {
    if (verdict.resize) plan.resize.push(target);
    if (next === undefined) plan.initialized = true;
    else if (!passedNewest) plan.start.push(next);
  }
  if (verdict.start) plan.start.push(target.container);
  if (verdict.kill) plan.kill.push(verdict.kill);
}

function anyRegularRuns(pod: Pod, observed: ObservedPod): boolean {
  return pod.spec.containers.some(({ name }) => {
    const state = latest(observed, name)?.state;
    return state === "created" || state === "running";
  });
}

function judge(container: Container, status: ContainerStatus, pod: Pod, observed: ObservedPod): Verdict {
  return isRestartableInit(container)
    ? judgeSidecar(container, status, observed)
    : judgeInit(container, status, pod, observed);
}

function judgeInit(container: Container, status: ContainerStatus, pod: Pod, observed: ObservedPod): Verdict {
  switch (status.state) {
    case "created":
      return { kind: "hold", start: true };
    case "running":
      return { kind: "hold" };
    case "exited":
      if (status.exitCode === 0) return { kind: "go-on" };
      return shouldRun(container, pod, observed) ? { kind: "hold", start: true } : { kind: "failed" };
    case "unknown":
      if ((container.restartPolicy ?? pod.spec.restartPolicy) === "Never") return { kind: "failed" };
      return { kind: "hold", start: true, kill: unknownState(container, status) };
  }
}

function judgeSidecar(container: Container, status: ContainerStatus, observed: ObservedPod): Verdict {
  switch (status.state) {
    case "created":
    case "exited":
      return { kind: "hold", start: true };
    case "unknown":
      return { kind: "hold", start: true, kill: unknownState(container, status) };
    case "running":
      break;
  }
  const name = container.name;
  const because = (message: string, reason: KillReason): ContainerKill => ({
    container: name,
    containerId: status.id,
    message: `Init container ${name} ${message}`,
    reason,
  });
  if (container.startupProbe) {
    const startup = observed.startup.get(status.id);
    if (startup === "failure") {
      return { kind: "hold", start: true, kill: because("failed startup probe", "startup-probe") };
    }
    if (startup !== "success") return { kind: "hold" };
  }
  const hash = hashOf(status);
  if (hash !== undefined && hash !== containerHash(container)) {
    return { kind: "go-on", start: true, kill: because("definition changed", "spec-changed") };
  }
  if (container.livenessProbe && observed.liveness.get(status.id) === "failure") {
    return { kind: "go-on", start: true, kill: because("failed liveness probe", "liveness-probe") };
  }
  const way = resizeWay(container, observed.resources.get(status.id) ?? container.resources ?? {});
  if (way === "restart") {
    const message = `Container ${name} resize requires restart`;
    return { kind: "go-on", start: true, kill: { container: name, containerId: status.id, message, reason: "resize" } };
  }
  return { kind: "go-on", resize: way === "in-place" };
}

function unknownState(container: Container, status: ContainerStatus): ContainerKill {
  return {
    container: container.name,
    containerId: status.id,
    message: `Init container is in "unknown" state, try killing it before restart`,
    reason: "unknown-state",
  };
}
