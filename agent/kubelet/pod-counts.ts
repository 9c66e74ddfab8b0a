import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable } from "#shared/metrics/tables.ts";
import type { BoardSignal } from "./node/eviction-rules.ts";
import type { StorageLimitSignal } from "./node/storage-limits.ts";
import type { ContainerType } from "./pod-containers.ts";

/** What ran short when a pod was evicted: something of the board's, or of what the pod was granted. */
export type EvictionSignal = BoardSignal | StorageLimitSignal;

/** What upstream's metrics call them. */
const containerTypes: Readonly<Record<ContainerType, string>> = {
  init: "init_container",
  regular: "container",
  ephemeral: "ephemeral_container",
};

/** Reasons for which a pod is refused that are counted by name. */
const refusalReasons: ReadonlySet<string> = new Set([
  "AppArmor",
  "Evicted",
  "NodeShutdown",
  "OutOfcpu",
  "OutOfephemeral-storage",
  "OutOfmemory",
  "OutOfpods",
  "PodOSNotSupported",
  "PodOSSelectorNodeLabelDoesNotMatch",
  "SupplementalGroupsPolicyNotSupported",
  "SysctlForbidden",
  "UnexpectedAdmissionError",
  "VolumeAttachmentLimitExceeded",
]);

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

  readonly #preemptions = new CounterTable({
    name: "kubelet_preemptions",
    help: "Pods ended so that a critical one has room, by what was short.",
    labels: ["preemption_signal"],
  });
  readonly #refusals = new CounterTable({
    name: "kubelet_admission_rejections_total",
    help: "Pods that the board did not take, by why.",
    labels: ["reason"],
  });

  readonly #imageVolumes = new CounterTable({
    name: "kubelet_image_volume_requested_total",
    help: "Volumes of images that containers asked for.",
    labels: [],
  });
  readonly #imageVolumesMounted = new CounterTable({
    name: "kubelet_image_volume_mounted_succeed_total",
    help: "Those that they were given.",
    labels: [],
  });
  readonly #imageVolumeErrors = new CounterTable({
    name: "kubelet_image_volume_mounted_errors_total",
    help: "Those that could not be mounted.",
    labels: [],
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

  /** @param resource the first that was short */
  preempted(resource: string): void {
    this.#preemptions.add([resource]);
  }

  /** @param reason of the pod's status; those that upstream does not tell apart are counted together */
  refused(reason: string): void {
    const ofRest = reason.startsWith("OutOf") ? "OutOfExtendedResources" : "Other";
    this.#refusals.add([refusalReasons.has(reason) ? reason : ofRest]);
  }

  imageVolumeAsked(): void {
    this.#imageVolumes.add();
  }

  imageVolumeMounted(): void {
    this.#imageVolumesMounted.add();
  }

  imageVolumeFailed(): void {
    this.#imageVolumeErrors.add();
  }

  families(): Family[] {
    return [
      this.#pods,
      this.#podErrors,
      this.#containers,
      this.#containerErrors,
      this.#evictions,
      this.#preemptions,
      this.#refusals,
      this.#imageVolumes,
      this.#imageVolumesMounted,
      this.#imageVolumeErrors,
    ].map((each) => each.family());
  }
}
