import { mkdir, readdir, realpath, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { growFilesystem } from "#agent/host/filesystem-programs.ts";
import type { Host } from "#agent/host/host.ts";
import { localPathFolder } from "#shared/api/local-path.ts";
import type { PersistentVolume, Pod } from "#shared/api/types/core-v1.generated.ts";
import { ifPresent } from "#shared/files/if-present.ts";
import { KeyedTasks } from "../keyed-tasks.ts";
import { podUid } from "../pod-containers.ts";
import { PodEvents } from "../pod-events.ts";
import { FilesystemMismatch, formatAndMount } from "./format-and-mount.ts";
import { ensureLocalPathFolder } from "./local-path.ts";
import { LookTimes } from "./look-times.ts";
import { joinedOptions, mountByProgram } from "./mount-words.ts";
import type { MountedVolume } from "./mounted-volume.ts";
import { setPodOwnership } from "./ownership.ts";
import { assertOnlyUser } from "./persistent-volume.ts";
import { VolumeError } from "./volume-error.ts";
import { type PodFolders, volumeFolder } from "./volume-folders.ts";
import { type Expander, VolumeGrowth, type VolumeGrowthOptions } from "./volume-growth.ts";

export interface LocalVolumesOptions extends VolumeGrowthOptions {
  readonly host: Host;
  readonly folders: PodFolders;
  /** Below it devices are mounted, where upstream's kubelet mounts them: /var/lib/kubelet. */
  readonly root: string;
}

const kind = "local-volume";

/** What a bind mount takes over from what it shows, when it is mounted again with options of its own. */
const inherited = new Set(["ro", "nodev", "noexec", "nosuid", "noatime", "relatime", "nodiratime"]);

/**
 * Local PersistentVolumes: folders of the board, and block devices that are mounted, once, for all pods that use them. Each pod has a
 * bind mount of its own in its folder, and that folder is the record of who uses a volume. Level-based, as upstream's pkg/volume/local.
 */
export class LocalVolumes {
  readonly #options: LocalVolumesOptions;
  readonly #devices: string;
  readonly #growth: VolumeGrowth;
  readonly #looks = new LookTimes();
  readonly #tasks = new KeyedTasks();

  constructor(options: LocalVolumesOptions) {
    this.#options = options;
    this.#devices = join(options.root, "plugins", `kubernetes.io/${kind}`, "mounts");
    this.#growth = new VolumeGrowth(options);
  }

  /** When the pod's volumes are to be looked at again: they may have grown. */
  refreshAt_ms(podUid: string): number | undefined {
    return this.#looks.at_ms(podUid);
  }

  /** Idempotent. Rejects with VolumeError in upstream's words. */
  async mount(volume: PersistentVolume, pod: Pod, readOnly: boolean): Promise<MountedVolume> {
    const { metadata, spec } = volume;
    const name = metadata.name ?? "";
    const block = spec.volumeMode === "Block";
    const isNew = this.#looks.at_ms(podUid(pod)) === undefined;
    const path = await this.#tasks.run(name, () =>
      block ? this.#deviceOf(volume) : this.#mount(volume, name, pod, readOnly),
    );
    // Folders that the cluster made grow with their claim by the cluster's word.
    if (localPathFolder(volume) === undefined) {
      this.#looks.later(podUid(pod));
      if (!readOnly) await this.#growth.grow(volume, pod, expanderOf(volume, path));
      else if (isNew) await this.#growth.tellReadOnly(volume, pod);
    }
    return { path, readOnly, kind: "persistent", ...(block ? { block } : {}) };
  }

  async #mount(volume: PersistentVolume, name: string, pod: Pod, readOnly: boolean): Promise<string> {
    const target = this.podMount(podUid(pod), name);
    if (this.#options.host.isMountPoint(target)) return target;
    const isShared = await this.#isMountedElsewhere(name, podUid(pod));
    await this.#failing(volume, "MountVolume.SetUp", async () => assertOnlyUser(volume, isShared));
    const isDevice = await this.#failing(volume, "MountVolume.NewMounter initialization", () => isBlockDevice(volume));
    const source = isDevice ? this.#globalMount(name) : (volume.spec.local?.path ?? "");
    await mkdir(target, { recursive: true, mode: 0o750 });
    if (isDevice)
      await this.#failing(volume, "MountVolume.MountDevice", () => this.#mountDevice(volume, source, readOnly));
    await this.#failing(volume, "MountVolume.SetUp", async () => {
      await this.#bind(source, target, joinedOptions(...optionsOf(volume), ...(readOnly ? ["ro"] : [])));
      await this.#giveToGroup(target, volume, pod, { isShared, readOnly });
    });
    return target;
  }

  /** For `volumeDevices`. */
  async #deviceOf(volume: PersistentVolume): Promise<string> {
    const path = volume.spec.local?.path ?? "";
    return this.#failing(volume, "MapVolume.MapPodDevice", async () => {
      if (await isBlockDevice(volume)) return path;
      throw new Error(`${path} is not a block device`);
    });
  }

  async #mountDevice(volume: PersistentVolume, target: string, readOnly: boolean): Promise<void> {
    const { host, events, log } = this.#options;
    if (host.isMountPoint(target)) return;
    const { path: device = "", fsType = "ext4" } = volume.spec.local ?? {};
    const options = joinedOptions(...optionsOf(volume), ...(readOnly ? ["ro"] : []));
    await mkdir(target, { recursive: true, mode: 0o750 });
    try {
      await formatAndMount(host, { device, target, fsType, options }, log);
    } catch (error) {
      await rmdir(target).catch((left: unknown) => log.warn("a mount point stays", { target, error: left }));
      const about = `local: failed to mount device ${device} at ${target} (fstype: ${fsType})`;
      const message = `${about}, error ${(error as Error).message}`;
      if (error instanceof FilesystemMismatch) {
        const told = `MountVolume failed for volume "${volume.metadata.name}" ${message}`;
        events.record(volume, { type: "Warning", reason: "FailedMountOnFilesystemMismatch", message: told });
      }
      throw new Error(message, { cause: error });
    }
  }

  async #bind(source: string, target: string, options: readonly string[]): Promise<void> {
    const { host } = this.#options;
    if (options.length === 0) return host.bindMount(source, target);
    const real = await realpath(source);
    const covering = host.mounts().findLast(({ path }) => path === "/" || `${real}/`.startsWith(`${path}/`));
    const kept = (covering?.options ?? []).filter((option) => inherited.has(option));
    await mountByProgram(host, {
      type: "none",
      source,
      target,
      options: ["bind", ...joinedOptions(...options, ...kept)],
    });
  }

  /** Only with the first pod: what others use stays theirs, and a pod that wants it otherwise is told so. */
  async #giveToGroup(
    target: string,
    { metadata }: PersistentVolume,
    pod: Pod,
    { isShared, readOnly }: { readonly isShared: boolean; readonly readOnly: boolean },
  ): Promise<void> {
    const { fsGroup } = pod.spec.securityContext ?? {};
    if (fsGroup === undefined) return;
    if (!isShared) {
      if (!readOnly) await setPodOwnership(target, pod, readOnly);
      return;
    }
    const { gid } = await stat(target);
    if (gid === fsGroup) return;
    const has = `the volume ${metadata.name} has GID ${gid}`;
    const message = `The requested fsGroup is ${fsGroup}, but ${has}. The volume may not be shareable.`;
    new PodEvents(this.#options.events, pod).warning("AlreadyMountedVolume", message);
  }

  /** Takes the pod's mounts off, and devices that no other pod uses. Rejects when one is busy; what was done stays done. */
  async unmount(podUid: string): Promise<void> {
    for (const name of await namesIn(this.podMount(podUid, ""))) {
      await this.#tasks.run(name, async () => {
        const target = this.podMount(podUid, name);
        this.#options.host.unmountTree(target, { lazy: true });
        // Never with what is in it: that may still be the volume.
        await ifPresent(rmdir(target));
        await this.#unmountDevice(name);
      });
    }
    this.#looks.forget(podUid);
    this.#growth.forget(podUid);
  }

  /** Takes off what a crash has left: devices that no pod here uses. */
  async unmountUnused(): Promise<void> {
    for (const name of await namesIn(this.#devices)) {
      try {
        await this.#tasks.run(name, () => this.#unmountDevice(name));
      } catch (error) {
        this.#options.log.warn("a volume that nobody uses could not be unmounted", { volume: name, error });
      }
    }
  }

  async #unmountDevice(name: string): Promise<void> {
    if ((await this.#users(name)).length > 0) return;
    const path = this.#globalMount(name);
    this.#options.host.unmount(path);
    await ifPresent(rmdir(path));
  }

  async #isMountedElsewhere(name: string, own: string): Promise<boolean> {
    const isMounted = (uid: string): boolean => this.#options.host.isMountPoint(this.podMount(uid, name));
    return (await this.#users(name)).some((uid) => uid !== own && isMounted(uid));
  }

  /** UIDs of pods that have the volume, or had it when the board went off. */
  async #users(name: string): Promise<string[]> {
    const has = async (uid: string): Promise<boolean> =>
      (await ifPresent(stat(this.podMount(uid, name)))) !== undefined;
    const found: string[] = [];
    for (const uid of await namesIn(this.#options.folders.podsFolder)) if (await has(uid)) found.push(uid);
    return found;
  }

  /** Where a pod has a volume. */
  podMount(podUid: string, name: string): string {
    return volumeFolder(this.#options.folders.lasting(podUid), kind, name);
  }

  #globalMount(name: string): string {
    return join(this.#devices, name);
  }

  async #failing<T>({ metadata }: PersistentVolume, operation: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (cause) {
      const message = `${operation} failed for volume "${metadata.name}" : ${(cause as Error).message}`;
      throw new VolumeError(message, { cause });
    }
  }
}

/** Only a device has a file system of its own to grow; a folder, and a device that is used as such, are as large as they are. */
function expanderOf(volume: PersistentVolume, mountPath: string): Expander {
  return {
    expand: async () => {
      if (volume.spec.volumeMode === "Block" || !(await isBlockDevice(volume))) return;
      await growFilesystem(volume.spec.local?.path ?? "", mountPath);
    },
    judge: () => "failed",
  };
}

/** Of mount(8); the annotation is what came before the field. */
function optionsOf({ metadata, spec }: PersistentVolume): readonly string[] {
  return metadata.annotations?.["volume.beta.kubernetes.io/mount-options"]?.split(",") ?? spec.mountOptions ?? [];
}

/** Or is the volume a folder? Rejects where it is something else, or is not there; makes a folder that is the cluster's own. */
async function isBlockDevice(volume: PersistentVolume): Promise<boolean> {
  const folder = localPathFolder(volume);
  if (folder !== undefined) await ensureLocalPathFolder(folder);
  const path = volume.spec.local?.path ?? "";
  const found = await ifPresent(stat(path));
  if (!found) throw new Error(`path ${JSON.stringify(path)} does not exist`);
  if (!found.isDirectory() && !found.isBlockDevice()) throw new Error("only directory and block device are supported");
  return found.isBlockDevice();
}

async function namesIn(folder: string): Promise<string[]> {
  return (await ifPresent(readdir(folder))) ?? [];
}
