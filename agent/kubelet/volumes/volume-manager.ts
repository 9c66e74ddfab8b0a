import { chmod, mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "#agent/host/host.ts";
import { localPathFolder } from "#shared/api/local-path.ts";
import type { Pod, Volume } from "#shared/api/types/core-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import type { ObjectSource } from "../container/environment.ts";
import type { PodFacts } from "../container/field-ref.ts";
import { type CsiSource as CsiVolume, ephemeralHandle } from "../csi/csi-requests.ts";
import type { CsiVolumes } from "../csi/csi-volumes.ts";
import { errnoOf } from "../files.ts";
import { emptyDirsOnDisk } from "../node/storage-limits.ts";
import { mountedVolumes, podUid } from "../pod-containers.ts";
import { dataLink, writePayload } from "./atomic-writer.ts";
import type { BoundVolumes } from "./bound-volumes.ts";
import { isVolatile, mountMedium } from "./empty-dir.ts";
import { folderSize } from "./folder-size.ts";
import { prepareHostPath } from "./host-path.ts";
import { ensureLocalPathFolder } from "./local-path.ts";
import { nestedMountPoints } from "./nested-mount-points.ts";
import { setGroupOwnership } from "./ownership.ts";
import { volumePayload } from "./payload.ts";
import { claimNameOf, sourceKind } from "./persistent-volume.ts";
import type { ServiceAccountTokens } from "./service-account-token.ts";
import { pluginOf, VolumeCounts } from "./volume-counts.ts";
import { VolumeError, VolumePending, VolumesError } from "./volume-error.ts";
import type { StatsSource } from "./volume-stats.ts";

export interface MountedVolume {
  readonly path: string;
  /** Whatever a mount asks for. What the kubelet itself keeps writing is never the containers' to change: it would follow
   *  their links out of the volume. */
  readonly readOnly: boolean;
  /** Mounts of the whole volume follow the host's changes only where asked; a hostPath may lie anywhere. */
  readonly kind: "api" | "empty-dir" | "host-path" | "persistent" | "image";
  /** The path is a block device, for `volumeDevices`. */
  readonly block?: boolean;
}

export interface VolumeManagerOptions {
  readonly host: Host;
  readonly bound: BoundVolumes;
  readonly objects: ObjectSource;
  readonly tokens: ServiceAccountTokens;
  /** Folder of what must outlive a reboot. */
  readonly podsFolder: string;
  /** Folder in memory, for what is made anew at every start: it spares the card and keeps secrets off it. */
  readonly volatileFolder: string;
  /** Volumes by CSI drivers; none when absent. */
  readonly csi?: CsiLoader | undefined;
  readonly log: Log;
  /** Images whose files were mounted for a pod are not needed any more. */
  releaseImages(podUid: string): Promise<void>;
}

const imageKind = "image";
/** The board's CSI volumes, loaded when they are first needed. */
export interface CsiLoader {
  /** What is loaded; undefined while nothing has been needed. */
  readonly loaded: CsiVolumes | undefined;
  load(): Promise<CsiVolumes>;
}

const mount_timeout_ms = 120_000;
/** Volumes that are still being attached after so long are told of (upstream's figure). */
const patience_ms = 123_000;

/**
 * Makes volumes of pods present on this board and takes them away again. Level-based: `mount` may be called at any
 * time and brings everything up to date, which is also how changed ConfigMaps, Secrets, labels and tokens come through.
 */
export class VolumeManager {
  readonly #counts = new VolumeCounts();
  /** Since when pods have waited for volumes of theirs (monotonic). */
  readonly #waitingSince_ms = new Map<string, number>();

  constructor(readonly options: VolumeManagerOptions) {}

  podFolder(podUid: string): string {
    return join(this.options.podsFolder, podUid);
  }

  volatilePodFolder(podUid: string): string {
    return join(this.options.volatileFolder, podUid);
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
      if (error instanceof VolumePending) this.#tellWhenLate(facts.pod, error);
      throw error;
    }
  }

  /** Throws VolumesError, in upstream's words, once a pod has waited long for a volume; then again after as long. */
  #tellWhenLate(pod: Pod, cause: VolumePending): void {
    const uid = podUid(pod);
    const now_ms = performance.now();
    const since_ms = this.#waitingSince_ms.get(uid) ?? now_ms;
    const isLate = now_ms - since_ms >= patience_ms;
    this.#waitingSince_ms.set(uid, isLate ? now_ms : since_ms);
    if (!isLate) return;
    const names = mountedVolumes(pod.spec)
      .filter((volume) => claimNameOf(pod, volume))
      .map(({ name }) => name);
    const list = `[${names.join(" ")}]`;
    const text = `Unable to attach or mount volumes: unmounted volumes=${list}, unattached volumes=${list}, failed to process volumes=[]: ${cause.message}`;
    throw new VolumesError([new VolumeError(text, { cause })]);
  }

  async #mountAll(facts: PodFacts): Promise<ReadonlyMap<string, MountedVolume>> {
    const mounted = new Map<string, MountedVolume>();
    const failures: VolumeError[] = [];
    let pending: VolumePending | undefined;
    for (const volume of mountedVolumes(facts.pod.spec)) {
      try {
        mounted.set(volume.name, await this.#bring(volume, facts));
      } catch (error) {
        const shown = await this.#shown(volume, facts.pod);
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

  /** When something of the pod's volumes wants refreshing next: tokens, what a driver publishes again and again. */
  refreshAt_ms(podUid: string): number | undefined {
    const times = [this.options.tokens.refreshAt_ms(podUid), this.options.csi?.loaded?.refreshAt_ms(podUid)];
    const known = times.filter((time) => time !== undefined);
    return known.length === 0 ? undefined : Math.min(...known);
  }

  /**
   * Brings what shows API objects up to date, and CSI volumes that their drivers want to see to again. Rejects with
   * VolumesError, the other volumes refreshed.
   */
  async refresh(facts: PodFacts): Promise<void> {
    const failures: VolumeError[] = [];
    const csiIsDue = (this.options.csi?.loaded?.refreshAt_ms(podUid(facts.pod)) ?? Infinity) <= Date.now();
    for (const volume of mountedVolumes(facts.pod.spec)) {
      if (!payloadKind(volume) && !(csiIsDue && mayBeCsi(facts.pod, volume))) continue;
      await this.#bring(volume, facts).catch((error: unknown) => failures.push(mountError(volume, error)));
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
    const hadImages = (await statIfPresent(volumeFolder(this.podFolder(podUid), imageKind, ""))) !== undefined;
    this.#waitingSince_ms.delete(podUid);
    await this.options.csi?.loaded?.unmount(podUid);
    for (const folder of [this.podFolder(podUid), this.volatilePodFolder(podUid)]) {
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
      sizes.set(name, await folderSize(volumeFolder(this.podFolder(podUid(pod)), "empty-dir", name)));
    }
    return sizes;
  }

  /** How to find out how full a volume is, which is mounted; undefined for those that are not measured. */
  async statsSource(pod: Pod, volume: Volume): Promise<StatsSource | undefined> {
    const [lasting, volatile] = [this.podFolder(podUid(pod)), this.volatilePodFolder(podUid(pod))];
    const { name, emptyDir } = volume;
    const payload = payloadKind(volume);
    if (payload) return { kind: "folder", path: volumeFolder(volatile, payload, name) };
    if (emptyDir?.medium) return { kind: "filesystem", path: volumeFolder(volatile, "empty-dir", name) };
    if (emptyDir) return { kind: "folder", path: volumeFolder(lasting, "empty-dir", name) };
    if (volume.nfs) return { kind: "filesystem", path: volumeFolder(volatile, "nfs", name) };
    if (volume.csi) return { kind: "csi", specVolID: name };
    const claim = claimNameOf(pod, volume);
    const bound = claim && (await this.options.bound.known(pod, claim.name))?.volume;
    if (!bound || (bound.spec.volumeMode === "Block" && !bound.spec.csi)) return undefined;
    const { csi, local, nfs } = bound.spec;
    if (csi) return { kind: "csi", specVolID: bound.metadata.name ?? "" };
    if (local) return { kind: "filesystem", path: local.path };
    return nfs && { kind: "filesystem", path: volumeFolder(volatile, "nfs", name) };
  }

  /** UIDs of pods that have left something on this board. */
  async leftBehind(): Promise<string[]> {
    const names = await Promise.all(
      [this.options.podsFolder, this.options.volatileFolder].map((folder) => readdir(folder).catch(() => [])),
    );
    const withCsi = (await this.options.csi?.loaded?.podsWithVolumes()) ?? [];
    return [...new Set([...names.flat(), ...withCsi])];
  }

  /** Takes off what a crash has left of volumes that no pod here uses. */
  async sweep(): Promise<void> {
    await this.options.csi?.loaded?.unstageUnused();
  }

  #bring(volume: Volume, facts: PodFacts): Promise<MountedVolume> {
    return this.#counts.mounting(facts.pod, volume, () => this.#mountOne(volume, facts));
  }

  async #mountOne(volume: Volume, facts: PodFacts): Promise<MountedVolume> {
    const { pod } = facts;
    const payload = await volumePayload(volume, {
      facts,
      objects: this.options.objects,
      token: (projection) => this.options.tokens.token(pod, projection),
    });
    const kind = payloadKind(volume);
    if (payload && kind) {
      // All but ConfigMaps lie in a file system in memory of their own with upstream, whose root is so.
      const mode = kind === "configmap" ? 0o777 : 0o1777;
      const path = await this.#folder(this.volatilePodFolder(podUid(pod)), kind, volume.name, mode);
      const { fsGroup } = pod.spec.securityContext ?? {};
      // The top too, and whatever the pod's policy: files are new each time.
      await writePayload(path, payload, async () => {
        if (fsGroup !== undefined)
          await setGroupOwnership(path, { fsGroup, readOnly: true, onlyOnRootMismatch: false });
      });
      for (const nested of nestedMountPoints(pod, volume.name)) await makeMountPoint(join(path, nested));
      return { path, readOnly: true, kind: "api" };
    }
    if (volume.emptyDir) return this.#emptyDir(volume, facts);
    if (volume.hostPath) {
      return { path: await prepareHostPath(volume.hostPath), readOnly: false, kind: "host-path" };
    }
    if (volume.nfs) {
      const { server, path, readOnly = false } = volume.nfs;
      return this.#nfs(pod, volume.name, `${server}:${path}`, readOnly, []);
    }
    if (volume.image) {
      // Mounted when the image is there, which is after the sandbox.
      const path = await this.#folder(this.podFolder(podUid(pod)), imageKind, volume.name, 0o755);
      return { path, readOnly: true, kind: "image" };
    }
    if (volume.csi) {
      const { driver, readOnly = false, fsType = "", volumeAttributes = {} } = volume.csi;
      const handle = ephemeralHandle(pod, volume.name);
      const source = { driver, volumeHandle: handle, specVolID: volume.name, fsType, attributes: volumeAttributes };
      return this.#csi(pod, { ...source, volume: undefined, readOnly, block: false });
    }
    const claim = claimNameOf(pod, volume);
    if (claim) return this.#persistent(pod, volume.name, claim);
    const source = Object.keys(volume).find((key) => key !== "name") ?? "none";
    throw new Error(`no volume plugin matched: ${source} volumes are not supported by this node`);
  }

  /** A volume of API objects as an earlier mount left it. */
  async #shown(volume: Volume, pod: Pod): Promise<MountedVolume | undefined> {
    const kind = payloadKind(volume);
    if (!kind) return undefined;
    const path = volumeFolder(this.volatilePodFolder(podUid(pod)), kind, volume.name);
    const isShown = (await statIfPresent(join(path, dataLink))) !== undefined;
    return isShown ? { path, readOnly: true, kind: "api" } : undefined;
  }

  async #emptyDir({ name, emptyDir = {} }: Volume, facts: PodFacts): Promise<MountedVolume> {
    const { pod } = facts;
    const uid = podUid(pod);
    const base = isVolatile(emptyDir) ? this.volatilePodFolder(uid) : this.podFolder(uid);
    const path = volumeFolder(base, "empty-dir", name);
    const isNew = (await statIfPresent(path)) === undefined;
    await this.#folder(base, "empty-dir", name, 0o777);
    await mountMedium(this.options.host, path, emptyDir, facts);
    if (isNew) await this.#own(path, pod, false);
    return { path, readOnly: false, kind: "empty-dir" };
  }

  async #persistent(pod: Pod, name: string, claim: { name: string; readOnly: boolean }): Promise<MountedVolume> {
    const { volume, readOnly } = await this.options.bound.resolve(pod, claim.name, claim.readOnly);
    const { spec } = volume;
    this.#counts.resolved(podUid(pod), name, pluginOf(spec));
    const block = spec.volumeMode === "Block";
    if (spec.csi) {
      const { driver, volumeHandle, fsType = "", volumeAttributes: attributes = {} } = spec.csi;
      const specVolID = volume.metadata.name ?? "";
      return this.#csi(pod, { volume, driver, volumeHandle, specVolID, fsType, attributes, readOnly, block });
    }
    if (block && spec.local) return { path: await blockDevice(spec.local.path), readOnly, kind: "persistent", block };
    if (block) throw new Error(`no volume plugin matched: ${sourceKind(spec)} volumes cannot be block devices here`);
    if (spec.hostPath) {
      const path = await prepareHostPath(spec.hostPath);
      return { path, readOnly, kind: "persistent" };
    }
    if (spec.local) {
      const folder = localPathFolder(volume);
      if (folder !== undefined) await ensureLocalPathFolder(folder);
      await stat(spec.local.path).catch((error) => {
        throw new Error(`path "${spec.local?.path}" does not exist`, { cause: error });
      });
      await this.#own(spec.local.path, pod, readOnly);
      return { path: spec.local.path, readOnly, kind: "persistent" };
    }
    if (spec.nfs) {
      const source = `${spec.nfs.server}:${spec.nfs.path}`;
      return this.#nfs(pod, name, source, readOnly || (spec.nfs.readOnly ?? false), spec.mountOptions ?? []);
    }
    throw new Error(`no volume plugin matched: ${sourceKind(spec)} volumes are not supported by this node`);
  }

  async #csi(pod: Pod, source: CsiVolume): Promise<MountedVolume> {
    const { csi } = this.options;
    if (!csi) throw new Error("no volume plugin matched: csi volumes are not supported by this node");
    const path = await (await csi.load()).mount(source, pod);
    return { path, readOnly: source.readOnly, kind: "persistent", block: source.block };
  }

  async #nfs(
    pod: Pod,
    name: string,
    source: string,
    readOnly: boolean,
    mountOptions: readonly string[],
  ): Promise<MountedVolume> {
    const { host } = this.options;
    const target = await this.#folder(this.volatilePodFolder(podUid(pod)), "nfs", name, 0o750);
    if (!host.isMountPoint(target)) {
      const options = [...mountOptions, ...(readOnly ? ["ro"] : [])];
      await host.mountFilesystem({ type: "nfs", source, target, options, timeout_ms: mount_timeout_ms });
    }
    return { path: target, readOnly, kind: "persistent" };
  }

  async #folder(base: string, kind: string, name: string, mode: number): Promise<string> {
    const path = volumeFolder(base, kind, name);
    if ((await statIfPresent(path)) === undefined) {
      await mkdir(path, { recursive: true, mode: 0o750 });
      await chmod(path, mode);
    }
    return path;
  }

  async #own(path: string, pod: Pod, readOnly: boolean): Promise<void> {
    const { fsGroup, fsGroupChangePolicy } = pod.spec.securityContext ?? {};
    if (fsGroup === undefined) return;
    await setGroupOwnership(path, { fsGroup, readOnly, onlyOnRootMismatch: fsGroupChangePolicy === "OnRootMismatch" });
  }
}

const volumeFolder = (base: string, kind: string, name: string): string =>
  join(base, "volumes", `kubernetes.io~${kind}`, name);

/** The plugin, as upstream names it, of a volume whose files come from the API. */
function payloadKind({ configMap, secret, downwardAPI, projected }: Volume): string | undefined {
  if (configMap) return "configmap";
  if (secret) return "secret";
  if (downwardAPI) return "downward-api";
  return projected ? "projected" : undefined;
}

/** What is there already may be a file of the volume, for a file to be mounted on. */
async function makeMountPoint(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o755 }).catch((error: unknown) => {
    if (errnoOf(error) !== "EEXIST") throw error;
  });
}

/** Claims may be bound to CSI volumes: that is known after a look at them. */
const mayBeCsi = (pod: Pod, volume: Volume): boolean =>
  volume.csi !== undefined || claimNameOf(pod, volume) !== undefined;

async function blockDevice(path: string): Promise<string> {
  if (!(await stat(path)).isBlockDevice()) throw new Error(`${path} is not a block device`);
  return path;
}

const mountError = ({ name }: Volume, cause: unknown): VolumeError =>
  cause instanceof VolumeError
    ? cause
    : new VolumeError(`MountVolume.SetUp failed for volume "${name}" : ${(cause as Error).message}`, { cause });

async function statIfPresent(path: string): Promise<Awaited<ReturnType<typeof stat>> | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
