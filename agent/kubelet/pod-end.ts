/** How a pod ends: what runs of it stops, what it held is given back, and when the API no longer has it nothing is left of it. */
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { ignoreMissing, withinGrace } from "./kill.ts";
import type { ObservedPod } from "./planner/observed-pod.ts";
import { isStopped, planPod } from "./planner/plan-pod.ts";
import { podUid } from "./pod-containers.ts";
import type { KubeletParts } from "./pod-context.ts";
import { PodEvents } from "./pod-events.ts";
import { executeStep, newPlanRun } from "./pod-executors.ts";

/** Why the board itself ends a pod: its phase is Failed then. */
export interface PodFailure {
  readonly reason: string;
  readonly message: string;
  /** Seconds that its containers get; the pod's own grace period when absent. */
  readonly grace_s?: number | undefined;
  /** Ended for the board's sake, not for anything of its own: message of its condition DisruptionTarget. */
  readonly disruption?: string | undefined;
}

/**
 * Stops all that runs of a pod.
 * @param grace_s what its containers get; the pod's own grace period when undefined
 * @returns what there is of it afterwards. Rejects when something still runs.
 */
export async function stopPod(
  parts: KubeletParts,
  pod: Pod,
  observed: ObservedPod,
  grace_s: number | undefined,
  observe: () => Promise<ObservedPod>,
): Promise<ObservedPod> {
  const plan = planPod({ pod, termination: { grace_s } }, observed, parts.now_ms());
  const events = new PodEvents(parts.recorder, pod);
  // Nothing keeps a pod from its end.
  const { signal } = new AbortController();
  const run = newPlanRun({ parts, pod, observed, events, signal, resized: new Map() });
  return withinGrace(events, grace_s, async () => {
    for (const step of plan.steps) await executeStep(step, run);
    const left = await observe();
    if (!isStopped(left)) throw new Error("containers still run after the pod was stopped");
    return left;
  });
}

/** Gives back what a pod held that has stopped: claims, its control group, volumes, devices, the objects it used. */
export async function giveBack(parts: KubeletParts, uid: string): Promise<void> {
  await parts.claims?.loadedClaims?.unprepare(uid);
  await parts.cgroups?.remove(uid);
  await parts.volumes.unmount(uid);
  parts.devices?.release(uid);
  await parts.objects.release(uid);
}

/** Removes what still told of a pod that has ended: its containers, their logs, and what is remembered of them. */
export async function removeTraces(parts: KubeletParts, pod: Pod, observed: ObservedPod | undefined): Promise<void> {
  const { runtime } = parts;
  const uid = podUid(pod);
  for (const { id } of observed?.containers ?? []) await ignoreMissing(runtime.removeContainer(id));
  for (const { id } of observed?.sandboxes ?? []) await ignoreMissing(runtime.removeSandbox(id));
  parts.probes.forget((observed?.containers ?? []).map(({ id }) => id));
  parts.backOff.forget(`${uid}_`);
  parts.images.forget(uid);
  await parts.logs.remove(pod);
}
