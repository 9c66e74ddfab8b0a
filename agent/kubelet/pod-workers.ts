import { stat } from "node:fs/promises";
import type { ContainerRuntime, ContainerStatus, SandboxStatus, StatsOptions } from "#agent/runtime/runtime.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { byTurn } from "./node/pod-resize.ts";
import type { StorageUsage } from "./node/storage-limits.ts";
import { newestFirst } from "./planner/observed-pod.ts";
import { isStaticPod, podUid } from "./pod-containers.ts";
import type { KubeletParts } from "./pod-context.ts";
import { PodWorker } from "./pod-worker.ts";

export interface PodStats {
  readonly pod: Pod;
  readonly containers: readonly {
    readonly container: ContainerStatus;
    readonly stats: Awaited<ReturnType<ContainerRuntime["stats"]>>;
  }[];
}

/** The workers of a board, one a pod, and what can be asked of their pods. */
export class PodWorkers {
  readonly #workers = new Map<string, PodWorker>();
  /** Pods whose start waits for the one before them to have left, in the order in which they came. */
  #waiting: readonly Pod[] = [];

  constructor(
    readonly runtime: ContainerRuntime,
    readonly parts: () => KubeletParts,
  ) {}

  get(podUid: string): PodWorker | undefined {
    return this.#workers.get(podUid);
  }

  all(): PodWorker[] {
    return [...this.#workers.values()];
  }

  /** Starts to look after a pod; a static one waits until no other of its name is left here. */
  start(pod: Pod): void {
    if (this.#hasPredecessor(pod)) this.#waiting = [...this.#waiting, pod];
    else this.#add(pod).prompt();
  }

  /** Ends a pod that nobody asks for: only what runs of it is known. */
  end(orphan: Pod): void {
    this.#add(orphan).remove();
  }

  remove(podUid: string): void {
    this.#waiting = this.#waiting.filter((pod) => pod.metadata.uid !== podUid);
    this.#workers.get(podUid)?.remove();
  }

  /** The pod has left the board: others may wait for what it held. */
  drop(podUid: string): void {
    this.#workers.delete(podUid);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const pod of waiting) this.start(pod);
  }

  /** Each is to look at its pod again. */
  promptAll(): void {
    for (const worker of this.all()) worker.prompt();
  }

  /** Stops looking after pods, and leaves them running. */
  async stop(): Promise<void> {
    await Promise.all(this.all().map((worker) => worker.stop()));
  }

  /** The others that hold resources of the board. */
  holders(pod: Pod): PodWorker[] {
    return this.all().filter((worker) => worker.uid !== podUid(pod) && worker.holds);
  }

  /** Looks at the resizes of other pods that wait for room, those first that come first. */
  reconsiderResizes(freedBy: string): void {
    const waiting = this.all().flatMap((worker) => {
      const { uid, pod, granted, waitsForRoom } = worker;
      return uid === freedBy || !waitsForRoom ? [] : [{ worker, pod, granted, since_ms: waitsForRoom.since_ms }];
    });
    for (const { worker } of waiting.sort(byTurn)) worker.reconsiderResize();
  }

  /** Pods with the status they have now, written to the API or not. */
  pods(workers: readonly PodWorker[] = this.all()): Pod[] {
    return workers.map(({ pod, uid }) => {
      const status = this.parts().statuses.get(uid);
      return status ? { ...pod, status } : pod;
    });
  }

  /** Those that hold resources of the board. */
  holdingPods(): Pod[] {
    return this.pods(this.all().filter(({ holds }) => holds));
  }

  findPod(namespace: string, name: string, uid?: string): Pod | undefined {
    return this.pods().find(
      ({ metadata }) =>
        metadata.namespace === namespace && metadata.name === name && (uid === undefined || metadata.uid === uid),
    );
  }

  /** The container's last attempt. Asks the runtime. */
  async findContainer(namespace: string, podName: string, container: string): Promise<ContainerStatus | undefined> {
    const pod = this.findPod(namespace, podName);
    if (!pod) return undefined;
    const all = await this.runtime.listContainers({ podUid: podUid(pod) });
    return newestFirst(all.filter(({ name }) => name === container))[0];
  }

  /** The sandbox that serves a pod: where port-forward goes. Asks the runtime. */
  async findSandbox(namespace: string, podName: string, uid?: string): Promise<SandboxStatus | undefined> {
    const pod = this.findPod(namespace, podName, uid);
    if (!pod) return undefined;
    const all = await this.runtime.listSandboxes({ podUid: podUid(pod) });
    return all.find((sandbox) => sandbox.pod.uid === podUid(pod) && sandbox.state === "ready");
  }

  /** Runtime statistics of every running container, by pod. Containers that vanish meanwhile are left out. */
  async podStats(options?: StatsOptions): Promise<PodStats[]> {
    const running = (await this.runtime.listContainers()).filter(({ state }) => state === "running");
    return Promise.all(
      this.pods().map(async (pod) => {
        const own = running.filter((container) => container.pod.uid === podUid(pod));
        const containers = await Promise.all(
          own.map(async (container) => {
            const stats = await this.runtime.stats(container.id, options).catch(() => undefined);
            return stats ? [{ container, stats }] : [];
          }),
        );
        return { pod, containers: containers.flat() };
      }),
    );
  }

  /** What a pod has on the board's disk: walks its folders. */
  async storageUsage(pod: Pod): Promise<StorageUsage> {
    const emptyDirs = await this.parts().volumes.emptyDirSizes(pod);
    const containers = new Map<string, number>();
    for (const container of await this.runtime.listContainers({ podUid: podUid(pod) })) {
      if (container.state !== "running") continue;
      const stats = await this.runtime.stats(container.id).catch(() => undefined);
      const log = container.logPath === undefined ? undefined : await stat(container.logPath).catch(() => undefined);
      containers.set(container.name, (stats?.fsUsed_bytes ?? 0) + (log?.size ?? 0));
    }
    return { emptyDirs, containers };
  }

  /**
   * A manifest that has changed makes a pod with another UID, one that went and returned the same pod again: two at once would have
   * the same ports and files (upstream's allowStaticPodStart).
   */
  #hasPredecessor(pod: Pod): boolean {
    if (this.#workers.has(podUid(pod))) return true;
    if (!isStaticPod(pod)) return false;
    const { namespace, name } = pod.metadata;
    return this.all().some(
      ({ pod: other }) => isStaticPod(other) && other.metadata.namespace === namespace && other.metadata.name === name,
    );
  }

  #add(pod: Pod): PodWorker {
    const worker = new PodWorker(this.parts(), pod);
    this.#workers.set(worker.uid, worker);
    return worker;
  }
}
