import { readdir, rm, stat } from "node:fs/promises";
import { earliest } from "#shared/api/time.ts";
import type { Pod, Volume } from "#shared/api/types/core-v1.generated.ts";
import { ifPresent } from "#shared/files/if-present.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import type { PodFacts } from "../container/field-ref.ts";
import { emptyDirsOnDisk } from "../node/storage-limits.ts";
import { mountedVolumes, podUid } from "../pod-containers.ts";
import { folderSize } from "./folder-size.ts";
import { LocalVolumes, type LocalVolumesOptions } from "./local-volumes.ts";
import type { MountedVolume } from "./mounted-volume.ts";
import { podClaimOf } from "./persistent-volume.ts";
import { pluginOf, VolumeCounts } from "./volume-counts.ts";
import { ClaimLeaving, VolumeError, VolumeLimitError, VolumePending, VolumesError } from "./volume-error.ts";
import { PodFolders, payloadKind, volumeFolder } from "./volume-folders.ts";
import { imageKind, type OnResolved, VolumeMounter, type VolumeMounterOptions } from "./volume-mounter.ts";
import type { StatsSource } from "./volume-stats.ts";

export interface VolumeManagerOptions extends VolumeMounterOptions, Omit<LocalVolumesOptions, "folders"> {
  /** Folder of what must outlive a reboot. */
  readonly podsFolder: string;
  /** Folder in memory, for what is made anew at every start: it spares the card and keeps secrets off it. */
  readonly volatileFolder: string;
  /** Images whose files were mounted for a pod are not needed any more. */
  releaseImages(podUid: string): Promise<void>;
}

/** Volumes that are still being attached after so long are told of (upstream's figure). */
const patience_ms = 123_000;

/**
 * Makes volumes of pods present on this board and takes them away again. Level-based: `mount` may be called at any
 * time and brings everything up to date, which is also how changed ConfigMaps, Secrets, labels and tokens come through.
 */
export class VolumeManager {
  readonly #folders: PodFolders;
  readonly #local: LocalVolumes;
  readonly #mounter: VolumeMounter;
  readonly #counts = new VolumeCounts();
  /** Since when pods have waited for volumes of theirs (monotonic). */
  readonly #waitingSince_ms = new Map<string, number>();

  constructor(readonly options: VolumeManagerOptions) {
    this.#folders = new PodFolders(options.podsFolder, options.volatileFolder);
    this.#local = new LocalVolumes({ ...options, folders: this.#folders });
    const onResolved: OnResolved = (...resolved) => this.#counts.resolved(...resolved);
    this.#mounter = new VolumeMounter(options, this.#folders, this.#local, onResolved);
  }

  /** The pod's folder in memory. */
  volatilePodFolder(podUid: string): string {
    return this.#folders.volatile(podUid);
  }

  /**
   * All volumes that containers of the pod mount, by name. What a volume shows already stands when it cannot be had anew: a
   * container is restarted although the ConfigMap has gone. Rejects with VolumesError naming those that cannot be had, and with
   * VolumePending while one is being attached; the others are present then.
   */
  async mount(facts: PodFacts): Promise<ReadonlyMap<string, MountedVolume>> {
    const uid = podUid(facts.pod);
    try {
      const mounted = await this.#mountAll(facts);
      this.#waitingSince_ms.delete(uid);
      return mounted;
    } catch (error) {
      if (error instanceof VolumePending) await this.#tellWhenLate(facts.pod, error);
      throw error;
    }
  }

  /** Rejects with VolumesError, in upstream's words, once a pod has waited long for a volume; then again after as long. With
   *  VolumeLimitError where it would wait for ever. */
  async #tellWhenLate(pod: Pod, cause: VolumePending): Promise<void> {
    const uid = podUid(pod);
    const now_ms = performance.now();
    const since_ms = this.#waitingSince_ms.get(uid) ?? now_ms;
    const isLate = now_ms - since_ms >= patience_ms;
    this.#waitingSince_ms.set(uid, isLate ? now_ms : since_ms);
    if (!isLate) return;
    const names = mountedVolumes(pod.spec)
      .filter((volume) => podClaimOf(pod, volume))
      .map(({ name }) => name);
    const list = `[${names.join(" ")}]`;
    const state = `unmounted volumes=${list}, unattached volumes=${list}, failed to process volumes=[]`;
    if (await cause.isLimit()) {
      const text = `Node has reached its volume attachment limit, rejecting pod. ${state}: context deadline exceeded`;
      throw new VolumeLimitError(text);
    }
    throw new VolumesError([
      new VolumeError(`Unable to attach or mount volumes: ${state}: ${cause.message}`, { cause }),
    ]);
  }

  async #mountAll(facts: PodFacts): Promise<ReadonlyMap<string, MountedVolume>> {
    const mounted = new Map<string, MountedVolume>();
    const failures: VolumeError[] = [];
    let pending: VolumePending | undefined;
    for (const volume of mountedVolumes(facts.pod.spec)) {
      try {
        mounted.set(volume.name, await this.#mountOne(volume, facts));
      } catch (error) {
        const shown = await this.#mounter.shown(volume, facts.pod);
        if (shown) {
          const { name } = facts.pod.metadata;
          this.options.log.warn("a volume stays as it is", { pod: name, volume: volume.name, error });
          mounted.set(volume.name, shown);
        } else if (error instanceof VolumePending) pending ??= error;
        else failures.push(mountError(volume, error));
      }
    }
    if (failures.length > 0) throw new VolumesError(failures);
    if (pending) throw pending;
    return mounted;
  }

  /** When something of the pod's volumes wants refreshing next: tokens, what a driver publishes again and again, what may grow. */
  refreshAt_ms(podUid: string): number | undefined {
    return earliest([this.options.tokens.refreshAt_ms(podUid), this.#lookAt_ms(podUid)]);
  }

  #lookAt_ms(podUid: string): number | undefined {
    return earliest([this.options.csi?.loaded?.refreshAt_ms(podUid), this.#local.refreshAt_ms(podUid)]);
  }

  /**
   * Brings what shows API objects up to date, and volumes that are to be looked at again: CSI volumes that their drivers want to see to,
   * and those that may have grown. Rejects with VolumesError, the other volumes refreshed.
   */
  async refresh(facts: PodFacts): Promise<void> {
    const failures: VolumeError[] = [];
    const lookIsDue = (this.#lookAt_ms(podUid(facts.pod)) ?? Infinity) <= Date.now();
    for (const volume of mountedVolumes(facts.pod.spec)) {
      if (!payloadKind(volume) && !(lookIsDue && wantsLooks(facts.pod, volume))) continue;
      await this.#mountOne(volume, facts).catch((error: unknown) => {
        if (!(error instanceof ClaimLeaving)) failures.push(mountError(volume, error));
      });
    }
    if (failures.length > 0) throw new VolumesError(failures);
  }

  /** Takes everything of a pod off the board: mounts first, then folders. What is not the pod's stays. */
  async unmount(podUid: string): Promise<void> {
    await this.#counts.unmounting(podUid, () => this.#takeAway(podUid));
  }

  /** What they take, and how many these pods want and have; for /metrics. */
  async families(pods: readonly Pod[]): Promise<Family[]> {
    return this.#counts.families(pods, async (pod, claim) => {
      const bound = await this.options.bound.known(pod, claim);
      return bound && pluginOf(bound.volume.spec);
    });
  }

  async #takeAway(podUid: string): Promise<void> {
    const hadImages = (await ifPresent(stat(volumeFolder(this.#folders.lasting(podUid), imageKind, "")))) !== undefined;
    this.#waitingSince_ms.delete(podUid);
    await this.options.csi?.loaded?.unmount(podUid);
    await this.#local.unmount(podUid);
    for (const folder of this.#folders.both(podUid)) {
      this.options.host.unmountTree(folder, { lazy: true });
      await rm(folder, { recursive: true, force: true });
    }
    if (hadImages) await this.options.releaseImages(podUid);
    this.options.tokens.forget(podUid);
    await this.options.bound.forget(podUid);
  }

  /** Bytes on disk by name of the pod's emptyDirs. Walks them. */
  async emptyDirSizes(pod: Pod): Promise<ReadonlyMap<string, number>> {
    const sizes = new Map<string, number>();
    for (const { name } of emptyDirsOnDisk(pod)) {
      sizes.set(name, await folderSize(volumeFolder(this.#folders.lasting(podUid(pod)), "empty-dir", name)));
    }
    return sizes;
  }

  /** How to find out how full a volume is, which is mounted; undefined for those that are not measured. */
  async statsSource(pod: Pod, volume: Volume): Promise<StatsSource | undefined> {
    const [lasting, volatile] = this.#folders.both(podUid(pod));
    const { name, emptyDir } = volume;
    const payload = payloadKind(volume);
    if (payload) return { kind: "folder", path: volumeFolder(volatile, payload, name) };
    if (emptyDir?.medium) return { kind: "filesystem", path: volumeFolder(volatile, "empty-dir", name) };
    if (emptyDir) return { kind: "folder", path: volumeFolder(lasting, "empty-dir", name) };
    if (volume.nfs) return { kind: "filesystem", path: volumeFolder(volatile, "nfs", name) };
    if (volume.csi) return { kind: "csi", specVolID: name };
    const claim = podClaimOf(pod, volume);
    const bound = claim && (await this.options.bound.known(pod, claim.name))?.volume;
    if (!bound || (bound.spec.volumeMode === "Block" && !bound.spec.csi)) return undefined;
    const { csi, local, nfs } = bound.spec;
    if (csi) return { kind: "csi", specVolID: bound.metadata.name ?? "" };
    if (local) return { kind: "filesystem", path: this.#local.podMount(podUid(pod), bound.metadata.name ?? "") };
    return nfs && { kind: "filesystem", path: volumeFolder(volatile, "nfs", name) };
  }

  /** UIDs of pods that have left something on this board. */
  async leftBehind(): Promise<string[]> {
    const { podsFolder, volatileFolder } = this.options;
    const names = await Promise.all([podsFolder, volatileFolder].map((folder) => readdir(folder).catch(() => [])));
    const withCsi = (await this.options.csi?.loaded?.podsWithVolumes()) ?? [];
    return [...new Set([...names.flat(), ...withCsi])];
  }

  /** Takes off what a crash has left of volumes that no pod here uses. */
  async sweep(): Promise<void> {
    await this.options.csi?.loaded?.unstageUnused();
    await this.#local.unmountUnused();
  }

  #mountOne(volume: Volume, facts: PodFacts): Promise<MountedVolume> {
    return this.#counts.mounting(facts.pod, volume, () => this.#mounter.mount(volume, facts));
  }
}

/** What claims are bound to is known after a look at them. */
const wantsLooks = (pod: Pod, volume: Volume): boolean =>
  volume.csi !== undefined || podClaimOf(pod, volume) !== undefined;

const mountError = ({ name }: Volume, cause: unknown): VolumeError =>
  cause instanceof VolumeError
    ? cause
    : new VolumeError(`MountVolume.SetUp failed for volume "${name}" : ${(cause as Error).message}`, { cause });
