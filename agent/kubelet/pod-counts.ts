import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable } from "#shared/metrics/tables.ts";
import type { StorageLimitSignal } from "./node/storage-limits.ts";
import type { ContainerType } from "./pod-containers.ts";

/** What ran short when a pod was evicted: something of the board's, or of what the pod was granted. */
export type EvictionSignal =
  | "memory.available"
  | "nodefs.available"
  | "nodefs.inodesFree"
  | "imagefs.available"
  | StorageLimitSignal;

/** What upstream's metrics call them. */
const containerTypes: Readonly<Record<ContainerType, string>> = {
  init: "init_container",
  regular: "container",
  ephemeral: "ephemeral_container",
};

/** How many pods and containers a kubelet has begun to start, how many of them in vain, and what it has evicted, under upstream's
 *  names. */
export class PodCounts {
  readonly #pods = new CounterTable({
    name: "kubelet_started_pods_total",
    help: "Sandboxes of pods that were begun.",
    labels: [],
  });
  readonly #podErrors = new CounterTable({
    name: "kubelet_started_pods_errors_total",
    help: "Those that came to nothing.",
    labels: [],
  });
  readonly #containers = new CounterTable({
    name: "kubelet_started_containers_total",
    help: "Containers whose start was begun, their image among it.",
    labels: ["container_type"],
  });
  readonly #containerErrors = new CounterTable({
    name: "kubelet_started_containers_errors_total",
    help: "Those that came to nothing, by what their status says.",
    labels: ["container_type", "code"],
  });
  readonly #evictions = new CounterTable({
    name: "kubelet_evictions",
    help: "Pods evicted, by what ran short.",
    labels: ["eviction_signal"],
  });

  podBegun(): void {
    this.#pods.add();
  }

  podFailed(): void {
    this.#podErrors.add();
  }

  containerBegun(type: ContainerType): void {
    this.#containers.add([containerTypes[type]]);
  }

  /** @param code the reason that the container's status shows */
  containerFailed(type: ContainerType, code: string): void {
    this.#containerErrors.add([containerTypes[type], code]);
  }

  evicted(signal: EvictionSignal): void {
    this.#evictions.add([signal]);
  }

  families(): Family[] {
    return [this.#pods, this.#podErrors, this.#containers, this.#containerErrors, this.#evictions].map((each) =>
      each.family(),
    );
  }
}
