import type { ControllerRevision, StatefulSet, StatefulSetStatus } from "#shared/api/types/apps-v1.generated.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ControllerContext } from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { templateOf } from "../history/controller-revision.ts";
import { scaledValue } from "../pod-control/int-or-percent.ts";
import { isPodAvailable } from "../pod-control/pod-availability.ts";
import { slowStart } from "../pod-control/slow-start.ts";
import { corrected, firstOrdinal, isWanted, newPod, ordinalOf, podRevision, replicasOf } from "./ordinals.ts";
import { countPods, exists, isRunningAndReady, isTerminating, isUnavailable } from "./pod-state.ts";
import { PodWriter } from "./pod-writer.ts";

/** Whether the next pod may be looked at, where one must wait for the other. */
type Pace = "go on" | "wait";

export interface Revisions {
  readonly current: ControllerRevision;
  readonly update: ControllerRevision;
  readonly collisionCount: number;
}

/** One reconcile of a StatefulSet's pods: what is missing from the first up, what is too much from the last down, then
 *  the update from the last down; one at a time and only on firm ground unless the pods are managed in parallel. */
export class StatefulSetSync {
  readonly #writer: PodWriter;
  readonly #replicas: Pod[];
  readonly #condemned: readonly Pod[];
  readonly #monotonic: boolean;
  readonly #now_ms: number;
  readonly #names: { readonly current: string; readonly update: string };
  /** Pods that were deleted for the update in this reconcile. */
  #taken = 0;

  constructor(
    readonly set: StatefulSet,
    readonly pods: readonly Pod[],
    readonly revisions: Revisions,
    context: ControllerContext,
  ) {
    this.#writer = new PodWriter(set, context);
    this.#now_ms = context.clock.wall_ms();
    this.#monotonic = set.spec.podManagementPolicy !== "Parallel";
    this.#names = {
      current: revisions.current.metadata.name ?? "",
      update: revisions.update.metadata.name ?? "",
    };
    const present = new Map(pods.filter((pod) => isWanted(set, pod)).map((pod) => [ordinalOf(pod), pod]));
    this.#replicas = Array.from({ length: replicasOf(set) }, (_, place) => {
      const ordinal = firstOrdinal(set) + place;
      return present.get(ordinal) ?? this.#newPod(ordinal);
    });
    this.#condemned = pods
      .filter((pod) => ordinalOf(pod) >= 0 && !isWanted(set, pod))
      .sort((a, b) => ordinalOf(b) - ordinalOf(a));
  }

  /** Makes pods as the set wants them, as far as may be done now; gives the first error. */
  async run(): Promise<unknown> {
    try {
      if ((await this.#forEach(this.#replicas, (pod) => this.#process(pod))) === "wait") return undefined;
      if ((await this.#forEach(this.#condemned, (pod) => this.#leaveClaims(pod))) === "wait") return undefined;
      const weakest = this.#firstUnavailable();
      if ((await this.#forEach(this.#condemned, (pod) => this.#condemn(pod, weakest))) === "wait") return undefined;
      await this.#update();
      return undefined;
    } catch (error) {
      return error;
    }
  }

  status(): StatefulSetStatus {
    const counts = countPods(this.set, [...this.#replicas, ...this.#condemned], this.#names, this.#now_ms);
    return {
      ...this.set.status,
      ...counts,
      currentReplicas: counts.currentReplicas - this.#taken,
      observedGeneration: this.set.metadata.generation,
      currentRevision: this.#names.current,
      updateRevision: this.#names.update,
      collisionCount: this.revisions.collisionCount,
    };
  }

  /** Below the partition of the current revision, else of the new one. */
  #newPod(ordinal: number): Pod {
    const { updateStrategy } = this.set.spec;
    const isRolling = (updateStrategy?.type ?? "RollingUpdate") === "RollingUpdate";
    const kept = updateStrategy?.rollingUpdate
      ? (updateStrategy.rollingUpdate.partition ?? 0)
      : (this.set.status?.currentReplicas ?? 0);
    const staysCurrent = isRolling && ordinal < firstOrdinal(this.set) + kept;
    const revision = staysCurrent ? this.revisions.current : this.revisions.update;
    return newPod(this.set, templateOf(revision), revision.metadata.name ?? "", ordinal);
  }

  async #forEach(pods: readonly Pod[], run: (pod: Pod) => Promise<Pace>): Promise<Pace> {
    if (this.#monotonic) {
      for (const pod of pods) if ((await run(pod)) === "wait") return "wait";
      return "go on";
    }
    const { errors } = await slowStart(pods.length, async (index) => {
      const pod = pods[index];
      if (pod) await run(pod);
    });
    if (errors.length > 0) throw errors[0];
    return "go on";
  }

  async #process(pod: Pod): Promise<Pace> {
    const { phase } = pod.status ?? {};
    if (phase === "Failed" || phase === "Succeeded") {
      if (!isTerminating(pod)) await this.#writer.delete(pod);
      return "wait";
    }
    if (!exists(pod)) {
      if (this.#writer.hasStaleClaim(pod)) return "wait";
      await this.#writer.create(pod);
      return "wait";
    }
    if (phase === undefined || phase === "Pending") {
      await this.#writer.createClaims(pod);
      await this.#writer.ownClaims(pod);
    }
    const isFirm =
      !isTerminating(pod) && isRunningAndReady(pod) && isPodAvailable(pod, this.set.spec.minReadySeconds, this.#now_ms);
    if (this.#monotonic && !isFirm) return "wait";
    const better = corrected(this.set, pod);
    if (better || this.#writer.hasUnownedClaim(pod)) await this.#writer.update(better ?? pod);
    return "go on";
  }

  async #leaveClaims(pod: Pod): Promise<Pace> {
    if (this.#writer.hasUnownedClaim(pod)) await this.#writer.ownClaims(pod);
    return "go on";
  }

  async #condemn(pod: Pod, weakest: Pod | undefined): Promise<Pace> {
    if (isTerminating(pod)) return "wait";
    const isFirm = isRunningAndReady(pod) && isPodAvailable(pod, this.set.spec.minReadySeconds, this.#now_ms);
    // One that does not work may go, if it is the one that everything waits for.
    if (this.#monotonic && !isFirm && pod !== weakest) return "wait";
    await this.#writer.delete(pod);
    return "wait";
  }

  #firstUnavailable(): Pod | undefined {
    return [...this.#replicas, ...this.#condemned.toReversed()].find((pod) =>
      isUnavailable(pod, this.set, this.#now_ms),
    );
  }

  async #update(): Promise<void> {
    const { type, rollingUpdate } = this.set.spec.updateStrategy ?? {};
    if (type === "OnDelete") return;
    const updatable = this.#replicas.slice(rollingUpdate?.partition ?? 0).toReversed();
    if (rollingUpdate?.maxUnavailable === undefined) return this.#updateNext(updatable);
    const most = Math.max(1, scaledValue(rollingUpdate.maxUnavailable, replicasOf(this.set), "down"));
    const unavailable = this.#replicas.filter((pod) => isUnavailable(pod, this.set, this.#now_ms)).length;
    const outdated = updatable.filter((pod) => this.#isOutdated(pod));
    for (const pod of outdated.slice(0, Math.max(0, most - unavailable))) await this.#take(pod);
  }

  #isOutdated(pod: Pod): boolean {
    return exists(pod) && podRevision(pod) !== this.#names.update && !isTerminating(pod);
  }

  /** From the last down, each only when those behind it are available. */
  async #updateNext(pods: readonly Pod[]): Promise<void> {
    for (const pod of pods) {
      if (this.#isOutdated(pod)) return this.#take(pod);
      if (isUnavailable(pod, this.set, this.#now_ms)) return;
    }
  }

  async #take(pod: Pod): Promise<void> {
    await unlessGone(this.#writer.delete(pod));
    if (podRevision(pod) === this.#names.current) this.#taken++;
  }
}
