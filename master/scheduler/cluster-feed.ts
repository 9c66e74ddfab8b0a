import type { KubeObject } from "#shared/api/object.ts";
import { isTerminal } from "#shared/api/pod-phase.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { deviceClasses, namespaces, nodes, pods, resourceClaims, resourceSlices } from "#shared/api/resources.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Informer, InformerEvent, InformerFactory } from "#shared/client/informer.ts";
import type { ClusterCache } from "./cluster-cache.ts";
import { nodeChanges, podChanges } from "./cluster-events.ts";
import type { ClusterEvent, StorageChange } from "./framework.ts";
import type { NominatedPods } from "./nominated-pods.ts";
import { PodInfo } from "./pod-info.ts";
import { readByPlugins, storageResources } from "./read-by-plugins.ts";
import type { SchedulingQueue } from "./scheduling-queue.ts";

export interface FedParts {
  readonly cache: ClusterCache;
  readonly queue: SchedulingQueue;
  readonly nominated: NominatedPods;
  /** Whether this scheduler is to find the pod a node. */
  readonly isOwn: (pod: Pod) => boolean;
}

/** Brings what the informers see into the scheduler's cache and queue, and wakes pods that a change may help. */
export class ClusterFeed {
  readonly #informers: InformerFactory;
  readonly #parts: FedParts;

  constructor(informers: InformerFactory, parts: FedParts) {
    this.#informers = informers;
    this.#parts = parts;
  }

  /** Begins to. To be called before the informers are full, so that each object is looked at once. Gives what ends it. */
  attach(): () => void {
    const { queue } = this.#parts;
    const anyOf = (refs: readonly unknown[]): Informer<KubeObject>[] =>
      refs.map((ref) => this.#informers.informer(ref as ResourceRef<KubeObject>));
    const ends = [
      this.#informers.informer(nodes).addHandler((event) => this.#onNode(event)),
      this.#informers.informer(pods).addHandler((event) => this.#onPod(event)),
      this.#informers.informer(namespaces).addHandler((event) => {
        if (event.type === "update" && sameLabels(event.old, event.object)) return;
        queue.notice({ change: "namespaceLabels" });
      }),
      this.#informers.informer(resourceClaims).addHandler(({ type, object }) =>
        // One that goes leaves what it had to anybody.
        queue.notice(type === "delete" ? { change: "devices" } : { change: "devices", resourceClaim: object }),
      ),
      ...anyOf([resourceSlices, deviceClasses]).map((informer) =>
        informer.addHandler(() => queue.notice({ change: "devices" })),
      ),
      ...Object.entries(storageResources).map(([of, ref]) =>
        this.#informers.informer(ref as unknown as ResourceRef<KubeObject>).addHandler(({ type, object, old }) => {
          const [now, before] = type === "delete" ? [undefined, object] : [object, old];
          queue.notice({ change: "storage", storage: { of, now, before } as StorageChange });
        }),
      ),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  /** Resolves when all that decisions read is there; rejects when the informers end before. */
  async caughtUp(): Promise<void> {
    const all = [nodes, pods, ...readByPlugins].map((ref) => this.#informers.informer(ref as ResourceRef<KubeObject>));
    await Promise.all(all.map((informer) => informer.caughtUp()));
  }

  #onNode(event: InformerEvent<Node>): void {
    const { cache, queue } = this.#parts;
    const { object } = event;
    const name = object.metadata.name ?? "";
    if (event.type === "delete") {
      cache.removeNode(name);
      queue.notice({ change: "nodeDeleted", nodeBefore: object });
      return;
    }
    cache.setNode(object);
    const node = cache.node(name);
    if (event.type === "add") queue.notice({ change: "nodeAdded", node });
    else for (const change of nodeChanges(event.old, object)) queue.notice({ change, node, nodeBefore: event.old });
  }

  #onPod(event: InformerEvent<Pod>): void {
    const { object: pod } = event;
    if (event.type === "delete" || isTerminal(pod)) this.#onEndedPod(event);
    else if (isAssigned(pod)) this.#onAssignedPod(event);
    else this.#onWaitingPod(event);
  }

  #onEndedPod(event: InformerEvent<Pod>): void {
    const { cache, queue, nominated } = this.#parts;
    const { object: pod } = event;
    const uid = pod.metadata.uid ?? "";
    const tookRoom = cache.isAssumed(uid) || isAssigned(pod) || isNominated(pod);
    cache.removePod(uid);
    queue.delete(uid);
    nominated.delete(uid);
    const hadEnded = event.type === "update" && isTerminal(event.old);
    if (tookRoom && !hadEnded) queue.notice({ change: "podDeleted", freed: new PodInfo(pod) });
  }

  #onAssignedPod(event: InformerEvent<Pod>): void {
    const { cache, queue, nominated } = this.#parts;
    const { object: pod } = event;
    const uid = pod.metadata.uid ?? "";
    cache.setPod(pod);
    queue.delete(uid);
    nominated.delete(uid);
    if (event.type !== "update" || !isAssigned(event.old))
      queue.notice({ change: "podAssigned", pod: new PodInfo(pod) });
    else for (const change of changesOfPod(event.old, pod)) queue.notice(change);
  }

  #onWaitingPod(event: InformerEvent<Pod>): void {
    const { cache, queue, nominated, isOwn } = this.#parts;
    const { object: pod } = event;
    const uid = pod.metadata.uid ?? "";
    if (!isOwn(pod) || cache.isAssumed(uid)) return;
    const info = new PodInfo(pod);
    const nodeName = pod.status?.nominatedNodeName ?? "";
    const nodeBefore = event.type === "update" ? (event.old.status?.nominatedNodeName ?? "") : "";
    // Where room was made for it here may not be written yet: what says nothing of it takes nothing back.
    if (nodeName === "" && nodeBefore === "") nominated.renew(info);
    else nominated.nominate(info, nodeName);
    // Pods that counted with it there may come in its stead.
    if (event.type === "update" && nodeBefore !== "" && nodeBefore !== nodeName)
      queue.notice({ change: "podDeleted", freed: new PodInfo(event.old) });
    queue.set(info, event.type === "update" ? changesOfPod(event.old, pod) : []);
  }
}

function changesOfPod(old: Pod, now: Pod): ClusterEvent[] {
  const changes = podChanges(old, now);
  if (changes.length === 0) return [];
  const [podBefore, pod] = [new PodInfo(old), new PodInfo(now)];
  return changes.map((change) => ({ change, pod, podBefore }));
}

const isAssigned = ({ spec }: Pod): boolean => (spec?.nodeName ?? "") !== "";

const isNominated = ({ status }: Pod): boolean => (status?.nominatedNodeName ?? "") !== "";

const sameLabels = (a: KubeObject, b: KubeObject): boolean =>
  JSON.stringify(a.metadata.labels) === JSON.stringify(b.metadata.labels);
