import { type ContainerRuntime, type ContainerStatus, RuntimeError } from "#agent/runtime/runtime.ts";
import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";
import { HookError, longestHook_ms, runHook } from "./lifecycle-hooks.ts";
import type { ObservedPod } from "./planner/observed-pod.ts";
import { podIPs } from "./planner/observed-pod.ts";
import type { KillReason } from "./planner/pod-step.ts";
import { terminationPrerequisites } from "./planner/termination-order.ts";
import { findContainer } from "./pod-containers.ts";
import type { PodEvents } from "./pod-events.ts";
import { atMost_s } from "./spec-time.ts";

/** What a container gets though its hook or its predecessors have used all of its time. */
const least_s = 2;
const defaultGrace_s = 2;

export interface KillContext {
  readonly runtime: ContainerRuntime;
  readonly pod: Pod;
  readonly observed: Pick<ObservedPod, "sandboxes" | "containers">;
  readonly events: PodEvents;
}

/** Seconds between asking a container to end and making it: of the deletion, the probe, or the pod. */
function gracePeriod_s(pod: Pod, container: Container | undefined, reason: KillReason): number {
  const { deletionGracePeriodSeconds } = pod.metadata;
  if (deletionGracePeriodSeconds !== undefined) return deletionGracePeriodSeconds;
  const ofPod = pod.spec.terminationGracePeriodSeconds ?? defaultGrace_s;
  if (reason === "startup-probe") return container?.startupProbe?.terminationGracePeriodSeconds ?? ofPod;
  if (reason === "liveness-probe") return container?.livenessProbe?.terminationGracePeriodSeconds ?? ofPod;
  return ofPod;
}

/** Ends one container: preStop hook, its turn, then the stop signal; each takes from the grace period. */
export async function killContainer(
  context: KillContext,
  status: ContainerStatus,
  options: {
    readonly message?: string | undefined;
    readonly reason: KillReason;
    readonly grace_s?: number | undefined;
    readonly turn?: Promise<unknown> | undefined;
  },
): Promise<void> {
  const { pod, runtime, events } = context;
  const container = findContainer(pod.spec, status.name)?.container ?? { name: status.name };
  const grace_s = atMost_s(options.grace_s ?? gracePeriod_s(pod, container, options.reason));
  const deadline_ms = performance.now() + grace_s * 1000;
  const left_ms = (): number => Math.max(0, deadline_ms - performance.now());
  events.normal("Killing", options.message ?? `Stopping container ${status.name}`, container);

  const preStop = container.lifecycle?.preStop;
  if (preStop && grace_s > 0) {
    const hook = runHook({
      runtime,
      pod,
      container,
      containerId: status.id,
      handler: preStop,
      podIP: podIPs(context.observed)[0] ?? pod.status?.podIP,
      // A command goes on as long as the container does, and has failed when it ends with it.
      timeout_ms: preStop.exec ? longestHook_ms : left_ms(),
    }).catch((error: unknown) => {
      if (!(error instanceof HookError)) throw error;
      events.warning("FailedPreStopHook", "PreStopHook failed", container);
    });
    await within(hook, left_ms());
  }
  if (options.turn && grace_s > 0) await within(options.turn, left_ms());
  const rest_s = Math.max(Math.floor(left_ms() / 1000), least_s);
  await ignoreMissing(runtime.stopContainer(status.id, rest_s, container.lifecycle?.stopSignal));
}

/** Ends all containers of a pod, sidecars after the others and in reverse order, then its sandboxes. */
export async function killPod(context: KillContext, grace_s: number | undefined): Promise<void> {
  try {
    await killAll(context, grace_s);
  } catch (error) {
    context.events.warning("FailedKillPod", `error killing pod: ${(error as Error).message}`);
    throw error;
  }
}

/** What a runtime gets beside the grace period, ms (upstream's figures): half as much again, but at least this. */
const leastKill_ms = 10_000;

/**
 * Tells of a pod that the board ended for its own sake, as in an eviction, when that took much longer than it was granted.
 * @param grace_s undefined: the pod was not ended by the board
 */
export async function withinGrace<T>(
  events: Pick<PodEvents, "warning">,
  grace_s: number | undefined,
  kill: () => Promise<T>,
  now_ms: () => number = () => performance.now(),
): Promise<T> {
  const began_ms = now_ms();
  try {
    return await kill();
  } finally {
    if (grace_s !== undefined && now_ms() - began_ms > Math.max(grace_s * 1500, leastKill_ms))
      events.warning("ExceededGracePeriod", "Container runtime did not kill the pod within specified grace period.");
  }
}

async function killAll(context: KillContext, grace_s: number | undefined): Promise<void> {
  const { pod, runtime, observed } = context;
  const running = observed.containers.filter(({ state }) => state === "running" || state === "unknown");
  const prerequisites = terminationPrerequisites(
    pod.spec,
    running.map(({ name }) => name),
  );
  const ended = new Map(running.map(({ name }) => [name, Promise.withResolvers<void>()]));
  const kills = running.map(async (status) => {
    const turn = Promise.all((prerequisites.get(status.name) ?? []).map((name) => ended.get(name)?.promise));
    try {
      await killContainer(context, status, { reason: "unknown-state", grace_s, turn });
    } finally {
      ended.get(status.name)?.resolve();
    }
  });
  const failed = (await Promise.allSettled(kills)).find((outcome) => outcome.status === "rejected");
  if (failed) throw failed.reason;
  for (const sandbox of observed.sandboxes) {
    if (sandbox.state === "ready") await ignoreMissing(runtime.stopSandbox(sandbox.id));
  }
}

/** Resolves when the task is through or the time is; a failure of the task in time rejects. */
async function within(task: Promise<unknown>, time_ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, time_ms);
  // What fails after its time has no one to tell.
  task.catch(() => undefined);
  try {
    await Promise.race([task, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Of a container or sandbox that may be gone already: only then does a failure not count. */
export async function ignoreMissing(task: Promise<unknown>): Promise<void> {
  try {
    await task;
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.kind !== "not-found") throw error;
  }
}
