import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { Node, PersistentVolume, PersistentVolumeClaim } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceClaim } from "#shared/api/types/resource-v1.generated.ts";
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
} from "#shared/api/types/storage-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { Lister } from "#shared/client/informer.ts";
import type { NodeInfo } from "./node-info.ts";
import type { PodInfo } from "./pod-info.ts";

/** A score after normalisation lies between 0 and this. */
export const bestScore = 100;

/** What a scheduling cycle sees of the cluster. It does not change during a cycle: a cycle never waits. */
export interface ClusterView {
  nodes(): readonly NodeInfo[];
  node(name: string): NodeInfo | undefined;
  namespaceLabels(namespace: string): Readonly<Record<string, string>>;
  lister<T extends KubeObject>(ref: ResourceRef<T>): Lister<T>;
}

/** Why a node, or all nodes, will not do. */
export interface Rejection {
  readonly reasons: readonly string[];
  /** Taking pods away from the node might help (Unschedulable upstream; else UnschedulableAndUnresolvable). */
  readonly preemptible: boolean;
}

export const rejection = (reason: string, preemptible: "preemptible" | "final"): Rejection => ({
  reasons: [reason],
  preemptible: preemptible === "preemptible",
});

/** A plugin's work on one pod. Everything is absent that it has nothing to say about. */
export interface PluginCycle {
  /** No node will do at all. */
  readonly reject?: Rejection | undefined;
  /** Only these nodes need to be looked at. */
  readonly onlyNodes?: ReadonlySet<string> | undefined;
  filter?(node: NodeInfo): Rejection | undefined;
  /** After `filter` has turned down every node that it saw: whether another step can make the pod fit. */
  postFilter?(): PostFilterResult;
  /** A score of 0 to 100 for each of the nodes that passed all filters, in their order; absent when all are alike. */
  scores?(feasible: readonly NodeInfo[]): readonly number[] | undefined;
}

/** A plugin could not judge, for a fault of what it was given: nobody is asked any more, and the pod is tried again. */
export class PluginError extends Error {
  override readonly name = "PluginError";
}

/** What a plugin says of a pod that no node takes. */
export interface PostFilterResult {
  readonly reason: string;
  /** Written once the pod waits, so that the change which comes of it finds it waiting. Rejects with StatusError. */
  help?(client: Client): Promise<void>;
}

/** What happened in the cluster, as far as it may make a waiting pod fit. */
export type ClusterChange =
  | "nodeAdded"
  | "nodeAllocatable"
  | "nodeLabels"
  | "nodeTaints"
  | "nodeOther"
  | "nodeDeleted"
  | "podDeleted"
  | "podAssigned"
  | "podLabels"
  | "podTolerations"
  | "podResized"
  | "namespaceLabels"
  | "storage"
  | "devices";

/** What decides on the volumes that pods can have. */
export interface StorageKinds {
  readonly claim: PersistentVolumeClaim;
  readonly volume: PersistentVolume;
  readonly storageClass: StorageClass;
  readonly csiNode: CSINode;
  readonly csiDriver: CSIDriver;
  readonly capacity: CSIStorageCapacity;
  readonly attachment: VolumeAttachment;
}

/** An object as it is and as it was: `now` is absent where it has gone, `before` where it came. */
export type StorageChange = {
  readonly [K in keyof StorageKinds]: {
    readonly of: K;
    readonly now?: StorageKinds[K] | undefined;
    readonly before?: StorageKinds[K] | undefined;
  };
}[keyof StorageKinds];

/** A change with what it is about, as far as plugins judge by that. */
export interface ClusterEvent {
  readonly change: ClusterChange;
  /** As it is now; absent once it is gone. */
  readonly node?: NodeInfo | undefined;
  /** As it was, where it was there before. */
  readonly nodeBefore?: Node | undefined;
  /** A pod that gave back what it had. */
  readonly freed?: PodInfo | undefined;
  /** A pod that came to a node, or changed; the waiting pod itself where that has changed. */
  readonly pod?: PodInfo | undefined;
  /** As it was before it changed. */
  readonly podBefore?: PodInfo | undefined;
  readonly storage?: StorageChange | undefined;
  readonly resourceClaim?: ResourceClaim | undefined;
}

export interface SchedulerPlugin {
  readonly name: string;
  /** Multiplies its scores. */
  readonly weight?: number | undefined;
  /** After which changes a pod that it rejected is tried again. */
  readonly wokenBy: ReadonlySet<ClusterChange>;
  /** Whether such a change can make the pod fit, seen by what it is about (queueing hints, KEP-4247). Absent: it may. */
  mayHelp?(pod: PodInfo, event: ClusterEvent): boolean;
  /** Its cycles may have a `postFilter`. */
  readonly hasPostFilter?: boolean;
  /** Whether the pod has to wait for something before it is looked at at all. Asked anew after the changes that wake the
   *  plugin, and when the pod itself has changed. */
  keepsOut?(pod: PodInfo, cluster: ClusterView): boolean;
  /** Whether `preBind` has anything to do for the pod. */
  hasPreBind?(pod: PodInfo, cluster: ClusterView): boolean;
  /** Reads the pod and the cluster once for all nodes; undefined when the plugin has nothing to do with this pod.
   *  This and `filter` throw PluginError. */
  begin(pod: PodInfo, cluster: ClusterView): PluginCycle | undefined;
  /** The node is chosen: keeps what the pod will have there, so that the next decision counts with it. */
  reserve?(pod: PodInfo, nodeName: string, cluster: ClusterView): void;
  /** The pod is bound or will not be: what was kept is in the API or free again. */
  release?(pod: PodInfo): void;
  /** Gets from the API what the pod needs on the node before it is bound. "pending": something that takes long was asked for;
   *  a change that wakes this plugin brings the pod back. Rejects with StatusError when another was quicker. */
  preBind?(pod: PodInfo, nodeName: string, client: Client, cluster: ClusterView): Promise<"done" | "pending">;
  /** The pod was not bound after all: takes back what was written for it. What fails then is tried at the next binding. */
  unreserve?(pod: PodInfo, client: Client, cluster: ClusterView): Promise<void>;
}

/** Scales to 0–100 by the greatest; `reverse` when less is better. */
export function normalizeByGreatest(scores: readonly number[], order: "more is better" | "less is better"): number[] {
  const greatest = Math.max(0, ...scores);
  const reverse = order === "less is better";
  return scores.map((score) => {
    if (greatest === 0) return reverse ? bestScore : score;
    const scaled = Math.floor((bestScore * score) / greatest);
    return reverse ? bestScore - scaled : scaled;
  });
}
