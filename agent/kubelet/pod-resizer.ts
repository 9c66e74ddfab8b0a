import type { Pod, ResourceRequirements } from "#shared/api/types/core-v1.generated.ts";
import { type ResizeProgress, type ResizeRefusal, resizeSummary } from "./node/pod-resize.ts";
import { latest, type ObservedPod } from "./planner/observed-pod.ts";
import { type Allocation, allocationOf, resizeWay, sameAllocation, withAllocation } from "./planner/resize.ts";
import type { PodEvents } from "./pod-events.ts";

/** A pod or a container cannot have the resources that it was granted, for now. */
export class ResizeError extends Error {
  override readonly name = "ResizeError";
}

/**
 * The resources that a pod has been granted on this board, apart from those its spec asks for: a resize that does not
 * fit waits, and the pod goes on with what it had (KEP-1287).
 */
export class PodResizer {
  #allocation: Allocation;
  #pending: (ResizeRefusal & { readonly since_ms: number; readonly generation: number | undefined }) | undefined;
  #inProgress = false;
  /** Of the spec that was granted: it may be changed in other ways meanwhile. */
  #generation: number | undefined;
  #error: string | undefined;
  /** Given to running containers since they were made, by container id. */
  readonly resized = new Map<string, ResourceRequirements>();

  constructor(pod: Pod) {
    this.#allocation = publishedAllocation(pod);
  }

  /** The pod as it has been granted. */
  granted(pod: Pod): Pod {
    return withAllocation(pod, this.#allocation);
  }

  /** Does it wait for room that another pod may free? Since when it does, epoch ms. */
  get waits(): { readonly since_ms: number } | undefined {
    return this.#pending?.reason === "Deferred" ? this.#pending : undefined;
  }

  /**
   * Grants what the spec asks for now, if it may be had.
   * @returns whether the pod was granted other resources than it had
   */
  consider(
    pod: Pod,
    refuse: (pod: Pod, granted: Pod) => ResizeRefusal | undefined,
    events: PodEvents,
    now_ms: number,
  ): boolean {
    const wanted = allocationOf(pod);
    if (sameAllocation(wanted, this.#allocation)) {
      this.#pending = undefined;
      return false;
    }
    const refusal = refuse(pod, this.granted(pod));
    const { generation } = pod.metadata;
    if (!refusal) {
      this.#allocation = wanted;
      this.#pending = undefined;
      this.#error = undefined;
      this.#inProgress = true;
      this.#generation = generation;
      events.normal("ResizeStarted", resizeSummary(pod, "Pod resize started"));
      return true;
    }
    if (refusal.reason !== this.#pending?.reason || refusal.message !== this.#pending.message) {
      const message = resizeSummary(pod, `Pod resize ${refusal.reason}`, refusal.message);
      events.warning(`Resize${refusal.reason}`, message);
    }
    this.#pending = { ...refusal, generation, since_ms: this.#pending?.since_ms ?? now_ms };
    return false;
  }

  /** Takes note of how far the containers are, and the pod as a whole. */
  observe(pod: Pod, observed: ObservedPod, isPodBehind: boolean, events: PodEvents): void {
    const granted = this.granted(pod);
    const behind = [...(granted.spec.initContainers ?? []), ...granted.spec.containers].some((container) => {
      const status = latest(observed, container.name);
      if (status?.state !== "running") return false;
      return resizeWay(container, observed.resources.get(status.id) ?? container.resources ?? {}) !== "none";
    });
    if (behind) {
      if (!this.#inProgress) this.#generation = pod.metadata.generation;
      this.#inProgress = true;
    } else if (this.#inProgress && !isPodBehind) {
      this.#inProgress = false;
      this.#error = undefined;
      events.normal("ResizeCompleted", resizeSummary(granted, "Pod resize completed"));
    }
    const present = new Set(observed.containers.map(({ id }) => id));
    for (const id of this.resized.keys()) if (!present.has(id)) this.resized.delete(id);
  }

  /** A container could not be given its resources. */
  failed(pod: Pod, message: string, events: PodEvents): void {
    if (this.#error !== message) events.warning("ResizeError", resizeSummary(pod, "Pod resize error", message));
    this.#error = message;
  }

  progress(): ResizeProgress {
    return {
      pending: this.#pending,
      inProgress: this.#inProgress ? { error: this.#error, generation: this.#generation } : undefined,
    };
  }
}

/**
 * What the pod was granted before this kubelet started, as its status tells. A container that has never been made tells nothing,
 * for want of its image for instance: it takes what it asks for, and the others keep to what they have.
 */
function publishedAllocation(pod: Pod): Allocation {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  const published = statuses.flatMap(({ name, resources }) => (resources ? [[name, resources] as const] : []));
  return new Map([...allocationOf(pod), ...published]);
}
