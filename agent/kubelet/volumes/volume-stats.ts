import type { Host } from "#agent/host/host.ts";
import type { Pod, Volume } from "#shared/api/types/core-v1.generated.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { Log } from "#shared/client/log.ts";
import { Limiter } from "../limiter.ts";
import { podUid } from "../pod-containers.ts";
import { PodEvents } from "../pod-events.ts";
import { folderUsage } from "./folder-size.ts";
import { podClaimOf } from "./persistent-volume.ts";
import type { VolumeManager } from "./volume-manager.ts";

/** What a volume holds; a driver may leave out any of it. */
export interface VolumeUsage {
  readonly capacity_bytes?: number | undefined;
  readonly available_bytes?: number | undefined;
  readonly used_bytes?: number | undefined;
  readonly inodes?: number | undefined;
  readonly inodesFree?: number | undefined;
  readonly inodesUsed?: number | undefined;
  /** Absent where the driver does not judge its volumes. */
  readonly condition?: { readonly abnormal: boolean; readonly message: string } | undefined;
}

export interface VolumeStats {
  readonly name: string;
  /** Namespace and name of the claim, where the volume is one's. */
  readonly claim: { readonly namespace: string; readonly name: string } | undefined;
  /** On the board's own disk, and gone with the pod: an emptyDir, or the files of a ConfigMap. */
  readonly isEphemeral: boolean;
  readonly measured_ms: number;
  readonly usage: VolumeUsage;
}

/** Where a volume's use is to be found out. */
export type StatsSource =
  | { readonly kind: "filesystem"; readonly path: string }
  /** A part of a file system: what it takes up is counted by walking it. */
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "csi"; readonly specVolID: string };

export interface VolumeStatsOptions {
  readonly host: Host;
  readonly volumes: VolumeManager;
  readonly events: EventRecorder;
  readonly log: Log;
  readonly now_ms: () => number;
  /** A volume is measured at most this often, however many ask (upstream's volumeStatsAggPeriod). */
  readonly age_ms: number;
}

interface Measured {
  stats: VolumeStats | undefined;
  running: Promise<void> | undefined;
  /** When it was begun last. */
  begun_ms: number;
}

/** Who asks waits no longer for a driver that hangs, and gets what was measured before. */
const patience_ms = 10_000;
const parallelMeasurements = 4;

/** How full the volumes of pods are. Measured when somebody asks, and never by itself. */
export class VolumeStatsReader {
  readonly #options: VolumeStatsOptions;
  /** By pod UID and volume name. */
  readonly #measured = new Map<string, Measured>();
  readonly #limiter = new Limiter(parallelMeasurements);

  constructor(options: VolumeStatsOptions) {
    this.#options = options;
  }

  /** Of each of these pods, by its UID; volumes that cannot be measured are left out. */
  async of(pods: readonly Pod[]): Promise<ReadonlyMap<string, readonly VolumeStats[]>> {
    const asked = pods.flatMap((pod) => (pod.spec.volumes ?? []).map((volume) => ({ pod, volume, key: "" })));
    for (const each of asked) each.key = `${podUid(each.pod)}/${each.volume.name}`;
    const keys = new Set(asked.map(({ key }) => key));
    for (const key of this.#measured.keys()) if (!keys.has(key)) this.#measured.delete(key);
    const running = asked.flatMap(({ pod, volume, key }) => this.#measure(pod, volume, key) ?? []);
    await settledWithin(running, patience_ms);
    const result = new Map<string, VolumeStats[]>();
    for (const { pod, key } of asked) {
      const stats = this.#measured.get(key)?.stats;
      if (stats) result.set(podUid(pod), [...(result.get(podUid(pod)) ?? []), stats]);
    }
    return result;
  }

  #measure(pod: Pod, volume: Volume, key: string): Promise<void> | undefined {
    const { now_ms, log, age_ms } = this.#options;
    const known: Measured = this.#measured.get(key) ?? { stats: undefined, running: undefined, begun_ms: -Infinity };
    this.#measured.set(key, known);
    if (known.running || now_ms() - known.begun_ms < age_ms) return known.running;
    known.begun_ms = now_ms();
    known.running = this.#limiter
      .run(async () => {
        const usage = await this.#usage(pod, volume);
        const before = known.stats?.usage.condition?.abnormal ?? false;
        const { name } = volume;
        const isEphemeral = isOnDisk(volume);
        known.stats = usage && { name, claim: claimOf(pod, volume), isEphemeral, measured_ms: now_ms(), usage };
        if (usage?.condition?.abnormal && !before) this.#tell(pod, volume, usage.condition.message);
      })
      .catch((error: unknown) => {
        log.debug("a volume could not be measured", { pod: pod.metadata.name, volume: volume.name, error });
      })
      .finally(() => {
        known.running = undefined;
      });
    return known.running;
  }

  #tell(pod: Pod, { name }: Volume, message: string): void {
    new PodEvents(this.#options.events, pod).warning("VolumeConditionAbnormal", `Volume ${name}: ${message}`);
  }

  async #usage(pod: Pod, volume: Volume): Promise<VolumeUsage | undefined> {
    const { host, volumes } = this.#options;
    const source = await volumes.statsSource(pod, volume);
    if (source === undefined) return undefined;
    if (source.kind === "csi") return volumes.options.csi?.loaded?.usage(podUid(pod), source.specVolID);
    const { inodes, inodesFree, ...bytes } = await host.statfs(source.path);
    const all = { ...bytes, inodes, inodesFree, inodesUsed: inodes - inodesFree };
    if (source.kind === "filesystem") return all;
    const folder = await folderUsage(source.path);
    return { ...all, used_bytes: folder.size_bytes, inodesUsed: folder.inodes };
  }
}

const isOnDisk = ({ emptyDir, configMap }: Volume): boolean =>
  (emptyDir !== undefined && !emptyDir.medium) || configMap !== undefined;

function claimOf(pod: Pod, volume: Volume): VolumeStats["claim"] {
  const claim = podClaimOf(pod, volume);
  return claim && { namespace: pod.metadata.namespace ?? "", name: claim.name };
}

async function settledWithin(running: readonly Promise<void>[], limit_ms: number): Promise<void> {
  if (running.length === 0) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limit_ms);
  });
  await Promise.race([Promise.all(running), late]);
  clearTimeout(timer);
}
