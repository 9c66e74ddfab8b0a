/** What the scheduling queue tells of itself, under upstream's names. */
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable } from "#shared/metrics/tables.ts";
import type { ClusterChange } from "./framework.ts";

/** The part of the queue that a pod has come to. */
export type QueuePart = "active" | "backoff" | "unschedulable";

/** Why it has, where nothing in the cluster has changed. */
export type QueueReason =
  | "UnschedulablePodAdd"
  | "UnschedulablePodUpdate"
  | "ScheduleAttemptFailure"
  | "BackoffComplete"
  | "PopFromBackoffQ"
  | "UnschedulableTimeout";

/** Upstream's labels; changes of namespaces, storage and devices are not told apart here. */
const changes: Readonly<Record<ClusterChange, string>> = {
  nodeAdded: "NodeAdd",
  nodeAllocatable: "NodeUpdateNodeAllocatable",
  nodeLabels: "NodeUpdateNodeLabel",
  nodeTaints: "NodeUpdateNodeTaint",
  nodeOther: "NodeUpdateNodeTaint",
  nodeDeleted: "NodeDelete",
  podDeleted: "AssignedPodDelete",
  podAssigned: "AssignedPodAdd",
  podLabels: "AssignedPodUpdatePodLabel",
  podTolerations: "AssignedPodUpdatePodToleration",
  podResized: "AssignedPodUpdatePodScaleDown",
  namespaceLabels: "NamespaceUpdate",
  storage: "StorageUpdate",
  devices: "ResourceClaimUpdate",
};

export class QueueCounts {
  readonly #incoming = new CounterTable({
    name: "scheduler_queue_incoming_pods_total",
    help: "Pods that came to a part of the queue, by what brought them.",
    labels: ["queue", "event"],
  });

  came(queue: QueuePart, reason: QueueReason): void {
    this.#incoming.add([queue, reason]);
  }

  woken(queue: QueuePart, change: ClusterChange): void {
    this.#incoming.add([queue, changes[change]]);
  }

  families(): Family[] {
    return [this.#incoming.family()];
  }
}
