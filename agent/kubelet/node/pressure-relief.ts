import type { Host } from "#agent/host/host.ts";
import type { ContainerStats } from "#agent/runtime/runtime.ts";
import type { SystemOom } from "#agent/telemetry/system-oom.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { EventToRecord } from "#shared/client/event-recorder.ts";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import type { ImageGarbage } from "../images/image-gc.ts";
import { podUid } from "../pod-containers.ts";
import type { EvictionSignal } from "../pod-counts.ts";
import type { PodWorker } from "../pod-worker.ts";
import type { PodStats } from "../pod-workers.ts";
import { chooseVictim, type PodUsage } from "./eviction.ts";
import type { Shortage } from "./eviction-gauge.ts";
import { factsOfSignal, isHard, type ReclaimedResource } from "./eviction-rules.ts";
import { beyondStorageLimits, hasStorageLimits, type StorageUsage } from "./storage-limits.ts";

export interface PressureReliefOptions {
  readonly host: Host;
  readonly imageFolder: () => string | undefined;
  readonly imageGarbage: ImageGarbage;
  readonly podStats: () => Promise<readonly PodStats[]>;
  readonly storageUsage: (pod: Pod) => Promise<StorageUsage>;
  readonly workers: () => Iterable<PodWorker>;
  /** Tells of the board. */
  readonly tell: (event: EventToRecord) => void;
  readonly systemOom: Pick<SystemOom, "look">;
  /** Counts a pod that was told to go. */
  readonly evicted: (signal: EvictionSignal) => void;
  /** Ended containers that may go. */
  readonly collectGarbage: () => Promise<void>;
  /** Is the board short of nothing, when looked at anew? */
  readonly isRelieved: () => Promise<boolean>;
  /** Are pods held to their limits on the disk? */
  readonly limitsStorage: boolean;
  /** The longest grace period of a pod that goes for a soft threshold. */
  readonly longestGrace_s: number;
  readonly log: Log;
}

/** As upstream's. */
const hardGrace_s = 1;

/** Frees what the board runs short of: images and dead containers when the disk fills, then pods, one at a time. */
export class PressureRelief {
  #running = false;
  /** Looks in a row at which images could not be collected, or not enough of them. */
  #imageFailures = 0;
  #isDeafToOom = false;
  readonly #reliefTrouble: StandingTrouble;
  readonly #imageTrouble: StandingTrouble;

  constructor(readonly options: PressureReliefOptions) {
    this.#reliefTrouble = new StandingTrouble(options.log, { wrong: "the board could not be relieved" });
    this.#imageTrouble = new StandingTrouble(options.log, { wrong: "images could not be collected" });
  }

  /** Called after each look at the board, with what it is short of, the most urgent first. Does nothing while an earlier call still
   *  runs. */
  async relieve([shortage]: readonly Shortage[]): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      await this.#tellOfOom();
      if (this.options.limitsStorage) await this.#enforceLimits();
      await this.#collectImages();
      if (shortage) await this.#reclaim(shortage);
      this.#reliefTrouble.end();
    } catch (error) {
      this.#reliefTrouble.tell(error);
    } finally {
      this.#running = false;
    }
  }

  /** A failure is told once, and at the second look in a row as one of collecting images; then no more while it lasts, since each
   *  look would tell other bytes. */
  async #collectImages(): Promise<void> {
    const folder = this.options.imageFolder();
    if (folder === undefined) return;
    const failure = await this.#imageFailure(folder);
    if (failure === undefined) {
      this.#imageFailures = 0;
      return;
    }
    const { reason, message } = failure;
    this.#imageFailures += 1;
    if (this.#imageFailures === 1 && reason) this.options.tell({ type: "Warning", reason, message });
    if (this.#imageFailures === 2) this.options.tell({ type: "Warning", reason: "ImageGCFailed", message });
  }

  /** Why images could not be collected, with the reason of the event that tells of it where it has one of its own. */
  async #imageFailure(folder: string): Promise<{ reason?: string; message: string } | undefined> {
    try {
      const disk = await this.options.host.statfs(folder);
      if (disk.capacity_bytes === 0)
        return { reason: "InvalidDiskCapacity", message: "invalid capacity 0 on image filesystem" };
      const freed_bytes = await this.options.imageGarbage.collect(disk);
      this.#imageTrouble.end();
      const message = freed_bytes === undefined ? undefined : this.options.imageGarbage.shortfall(disk, freed_bytes);
      return message === undefined ? undefined : { reason: "FreeDiskSpaceFailed", message };
    } catch (error) {
      this.#imageTrouble.tell(error);
      return { message: messageOf(error) };
    }
  }

  /** What the kernel killed because the whole board was out of memory. */
  async #tellOfOom(): Promise<void> {
    if (this.#isDeafToOom) return;
    try {
      for (const { process, pid } of await this.options.systemOom.look()) {
        const message = `System OOM encountered, victim process: ${process}, pid: ${pid}`;
        this.options.tell({ type: "Warning", reason: "SystemOOM", message });
      }
    } catch (error) {
      this.#isDeafToOom = true;
      this.options.log.warn("what the kernel kills for lack of memory is not told of: its log cannot be read", {
        error,
      });
    }
  }

  /**
   * Pods that take more of the disk than they were granted go, whether the board is short of it or not. It is their own
   * doing: a Job counts it as a failure, and no disruption.
   */
  async #enforceLimits(): Promise<void> {
    for (const worker of this.options.workers()) {
      if (!worker.active || !hasStorageLimits(worker.pod)) continue;
      const excess = beyondStorageLimits(worker.pod, await this.options.storageUsage(worker.pod));
      if (!excess) continue;
      worker.fail({ reason: "Evicted", message: excess.message, grace_s: 1 });
      this.options.evicted(excess.signal);
    }
  }

  /** What nobody uses goes before a pod does. */
  async #reclaim(shortage: Shortage): Promise<void> {
    const { pressure, resource } = factsOfSignal(shortage.threshold.signal);
    // One that was told to go must be gone before another follows.
    if ([...this.options.workers()].some((worker) => worker.evicting)) return;
    const message = `Attempting to reclaim ${resource}`;
    this.options.tell({ type: "Warning", reason: "EvictionThresholdMet", message });
    if (pressure === "disk") {
      await this.options.collectGarbage();
      await this.options.imageGarbage.collectUnused();
      if (await this.options.isRelieved()) return;
    }
    await this.#evict(shortage, resource);
  }

  async #evict(shortage: Shortage, resource: ReclaimedResource): Promise<void> {
    const workers = new Map([...this.options.workers()].map((worker) => [worker.uid, worker]));
    const usages: PodUsage[] = (await this.options.podStats())
      .filter(({ pod }) => workers.get(podUid(pod))?.active)
      .map(({ pod, containers }) => ({
        pod,
        containers: containers.map(({ container, stats }) => ({ name: container.name, used: used(stats, resource) })),
      }));
    const victim = chooseVictim(shortage, usages);
    if (!victim) return;
    const { namespace, name } = victim.pod.metadata;
    this.options.log.warn("a pod is evicted", { pod: `${namespace}/${name}`, resource });
    workers.get(podUid(victim.pod))?.fail({
      reason: "Evicted",
      message: victim.message,
      grace_s: this.#grace_s(shortage, victim.pod),
      disruption: victim.message,
    });
    this.options.evicted(shortage.threshold.signal);
  }

  /** There is time for a soft threshold, and hardly any for a hard one. */
  #grace_s({ threshold }: Shortage, { spec }: Pod): number {
    if (isHard(threshold)) return hardGrace_s;
    const { longestGrace_s } = this.options;
    return Math.min(longestGrace_s, spec.terminationGracePeriodSeconds ?? longestGrace_s);
  }
}

/** Inodes of a container are not counted here: bytes stand for them. */
function used(stats: ContainerStats, resource: ReclaimedResource): number {
  switch (resource) {
    case "memory":
      return stats.memoryWorkingSet_bytes;
    case "pids":
      return stats.cgroup?.processes ?? 0;
    default:
      return stats.fsUsed_bytes ?? 0;
  }
}
