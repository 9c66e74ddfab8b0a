/** How a pod ends: what runs of it stops, what it held is given back, and when the API no longer has it nothing is left of it. */
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { orAborted } from "#shared/client/or-aborted.ts";
import { ignoreMissing, withinGrace } from "./kill.ts";
import { newPlanRun } from "./plan-run.ts";
import type { ObservedPod } from "./planner/observed-pod.ts";
import { isStopped, planPod } from "./planner/plan-pod.ts";
import { podUid } from "./pod-containers.ts";
import type { KubeletParts } from "./pod-context.ts";
import { PodEvents } from "./pod-events.ts";
import { executeStep } from "./pod-executors.ts";

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
 * Seconds that a pod's containers get to end: what the API or the board grants, the less of both, else the pod's own. Never
 * none, so that they are asked before they are killed. As upstream's calculateEffectiveGracePeriod.
 * @param ofBoard_s undefined: the board grants no less than the pod has
 */
export function endGrace_s({ metadata, spec }: Pod, ofBoard_s: number | undefined): number {
  const granted = [metadata.deletionGracePeriodSeconds, ofBoard_s].filter((grace_s) => grace_s !== undefined);
  return Math.max(1, granted.length > 0 ? Math.min(...granted) : (spec.terminationGracePeriodSeconds ?? 0));
}

/** Containers are to end sooner than they were told. */
class EndSooner extends Error {
  override readonly name = "EndSooner";
}

export interface EndingPod {
  readonly pod: Pod;
  /** What the board grants its containers, s; the pod's own grace period when undefined. */
  readonly grace_s: number | undefined;
}

/** Stops all that runs of a pod, and begins that anew when it is granted less time meanwhile. */
export class PodStop {
  #begun: { readonly grace_s: number; readonly anew: AbortController } | undefined;

  constructor(
    readonly parts: KubeletParts,
    /** As it is now. */
    readonly ending: () => EndingPod,
    readonly observe: () => Promise<ObservedPod>,
  ) {}

  /** The pod, or what the board grants it, has changed. */
  reconsider(): void {
    const { pod, grace_s } = this.ending();
    if (this.#begun && endGrace_s(pod, grace_s) < this.#begun.grace_s) this.#begun.anew.abort(new EndSooner());
  }

  /** @returns what there is of the pod afterwards. Rejects when something still runs. */
  async run(observed: ObservedPod): Promise<ObservedPod> {
    for (let seen = observed; ; seen = await this.observe()) {
      const { pod, grace_s } = this.ending();
      const begun = { grace_s: endGrace_s(pod, grace_s), anew: new AbortController() };
      this.#begun = begun;
      try {
        return await this.#stop(pod, seen, grace_s, begun);
      } catch (error) {
        if (!(error instanceof EndSooner)) throw error;
      } finally {
        this.#begun = undefined;
      }
    }
  }

  async #stop(
    pod: Pod,
    observed: ObservedPod,
    ofBoard_s: number | undefined,
    { grace_s, anew }: { readonly grace_s: number; readonly anew: AbortController },
  ): Promise<ObservedPod> {
    const { parts } = this;
    const plan = planPod({ pod, termination: { grace_s } }, observed, parts.now_ms());
    const events = new PodEvents(parts.recorder, pod);
    // Nothing keeps a pod from its end.
    const { signal } = new AbortController();
    const run = newPlanRun({ parts, pod, observed, events, signal, resized: new Map() });
    return withinGrace(events, ofBoard_s, async () => {
      // What has been begun goes on beside what is begun anew: the runtime keeps to the shorter time.
      for (const step of plan.steps) await orAborted(anew.signal, executeStep(step, run));
      const left = await this.observe();
      if (!isStopped(left)) throw new Error("containers still run after the pod was stopped");
      return left;
    });
  }
}

/** Gives back what a pod held that has stopped: claims, its control group, volumes, devices, CPUs, the objects it used. */
export async function giveBack(parts: KubeletParts, uid: string): Promise<void> {
  await parts.claims?.loadedClaims?.unprepare(uid);
  await parts.cgroups?.remove(uid);
  await parts.volumes.unmount(uid);
  parts.devices?.release(uid);
  parts.cpus?.release(uid);
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
