import { chmod, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "#agent/host/host.ts";
import type { Node, Pod, Volume } from "#shared/api/types/core-v1.generated.ts";
import { errnoOf, ifPresent } from "#shared/files/if-present.ts";
import type { ObjectSource } from "../container/environment.ts";
import type { PodFacts } from "../container/field-ref.ts";
import { type CsiSource, ephemeralHandle } from "../csi/csi-requests.ts";
import { podUid } from "../pod-containers.ts";
import { dataLink, writePayload } from "./atomic-writer.ts";
import type { BoundVolumes } from "./bound-volumes.ts";
import type { CsiLoader } from "./csi-loader.ts";
import { isVolatile, mountMedium } from "./empty-dir.ts";
import { prepareHostPath } from "./host-path.ts";
import type { LocalVolumes } from "./local-volumes.ts";
import { mountByProgram } from "./mount-words.ts";
import type { MountedVolume } from "./mounted-volume.ts";
import { nestedMountPoints } from "./nested-mount-points.ts";
import { setGroupOwnership, setPodOwnership } from "./ownership.ts";
import { volumePayload } from "./payload.ts";
import { assertOnBoard, podClaimOf, sourceKind } from "./persistent-volume.ts";
import type { ServiceAccountTokens } from "./service-account-token.ts";
import { pluginOf } from "./volume-counts.ts";
import { type PodFolders, payloadKind, volumeFolder } from "./volume-folders.ts";

export interface VolumeMounterOptions {
  readonly host: Host;
  readonly bound: BoundVolumes;
  readonly objects: ObjectSource;
  readonly tokens: ServiceAccountTokens;
  /** The board's Node, whose labels say which volumes are its own; undefined where it is not known yet. */
  node(): Node | undefined;
  /** Volumes by CSI drivers; none when absent. */
  readonly csi?: CsiLoader | undefined;
}

/** Gets what serves the volume behind a pod's claim, by the pod's UID and the volume's name, as soon as it is known. */
export type OnResolved = (podUid: string, volume: string, plugin: string | undefined) => void;

export const imageKind = "image";

/** Makes one volume of a pod present, by what serves it. Level-based: called again, it brings the volume up to date. */
export class VolumeMounter {
  readonly #options: VolumeMounterOptions;
  readonly #folders: PodFolders;
  readonly #local: LocalVolumes;
  readonly #onResolved: OnResolved;

  constructor(options: VolumeMounterOptions, folders: PodFolders, local: LocalVolumes, onResolved: OnResolved) {
    this.#options = options;
    this.#folders = folders;
    this.#local = local;
    this.#onResolved = onResolved;
  }

  /** Rejects with VolumePending while the volume is being attached. */
  async mount(volume: Volume, facts: PodFacts): Promise<MountedVolume> {
    const { pod } = facts;
    const { name, hostPath, nfs } = volume;
    const payload = payloadKind(volume);
    if (payload) return this.#payload(volume, payload, facts);
    if (volume.emptyDir) return this.#emptyDir(volume, facts);
    if (hostPath) return { path: await prepareHostPath(hostPath), readOnly: false, kind: "host-path" };
    if (nfs) return this.#nfs(pod, name, `${nfs.server}:${nfs.path}`, nfs.readOnly ?? false, []);
    if (volume.image) {
      // Mounted when the image is there, which is after the sandbox.
      const path = await makeFolder(this.#folders.lasting(podUid(pod)), imageKind, name, 0o755);
      return { path, readOnly: true, kind: "image" };
    }
    if (volume.csi) {
      const { driver, readOnly = false, fsType = "", volumeAttributes: attributes = {} } = volume.csi;
      const volumeHandle = ephemeralHandle(pod, name);
      const source = { volume: undefined, driver, volumeHandle, specVolID: name, fsType, attributes };
      return this.#csi(pod, { ...source, readOnly, block: false });
    }
    const claim = podClaimOf(pod, volume);
    if (claim) return this.#persistent(pod, name, claim);
    const source = Object.keys(volume).find((key) => key !== "name") ?? "none";
    throw new Error(`no volume plugin matched: ${source} volumes are not supported by this node`);
  }

  /** A volume of API objects as an earlier mount left it; undefined for others. */
  async shown(volume: Volume, pod: Pod): Promise<MountedVolume | undefined> {
    const kind = payloadKind(volume);
    if (!kind) return undefined;
    const path = volumeFolder(this.#folders.volatile(podUid(pod)), kind, volume.name);
    const isShown = (await ifPresent(stat(join(path, dataLink)))) !== undefined;
    return isShown ? { path, readOnly: true, kind: "api" } : undefined;
  }

  async #payload(volume: Volume, kind: string, facts: PodFacts): Promise<MountedVolume> {
    const { pod } = facts;
    const payload = await volumePayload(volume, {
      facts,
      objects: this.#options.objects,
      token: (projection) => this.#options.tokens.token(pod, projection),
    });
    // All but ConfigMaps lie in a file system in memory of their own with upstream, whose root is so.
    const mode = kind === "configmap" ? 0o777 : 0o1777;
    const path = await makeFolder(this.#folders.volatile(podUid(pod)), kind, volume.name, mode);
    const { fsGroup } = pod.spec.securityContext ?? {};
    // The top too, and whatever the pod's policy: files are new each time.
    await writePayload(path, payload, async () => {
      if (fsGroup !== undefined) await setGroupOwnership(path, { fsGroup, readOnly: true, onlyOnRootMismatch: false });
    });
    for (const nested of nestedMountPoints(pod, volume.name)) await makeMountPoint(join(path, nested));
    return { path, readOnly: true, kind: "api" };
  }

  async #emptyDir({ name, emptyDir = {} }: Volume, facts: PodFacts): Promise<MountedVolume> {
    const { pod } = facts;
    const uid = podUid(pod);
    const base = isVolatile(emptyDir) ? this.#folders.volatile(uid) : this.#folders.lasting(uid);
    const path = volumeFolder(base, "empty-dir", name);
    const isNew = (await ifPresent(stat(path))) === undefined;
    await makeFolder(base, "empty-dir", name, 0o777);
    await mountMedium(this.#options.host, path, emptyDir, facts);
    if (isNew) await setPodOwnership(path, pod, false);
    return { path, readOnly: false, kind: "empty-dir" };
  }

  async #persistent(pod: Pod, name: string, claim: { name: string; readOnly: boolean }): Promise<MountedVolume> {
    const { volume, readOnly } = await this.#options.bound.resolve(pod, claim.name, claim.readOnly);
    const { spec } = volume;
    this.#onResolved(podUid(pod), name, pluginOf(spec));
    assertOnBoard(volume, this.#options.node());
    const block = spec.volumeMode === "Block";
    if (spec.csi) {
      const { driver, volumeHandle, fsType = "", volumeAttributes: attributes = {} } = spec.csi;
      const specVolID = volume.metadata.name ?? "";
      return this.#csi(pod, { volume, driver, volumeHandle, specVolID, fsType, attributes, readOnly, block });
    }
    if (spec.local) return this.#local.mount(volume, pod, readOnly);
    if (block) throw new Error(`no volume plugin matched: ${sourceKind(spec)} volumes cannot be block devices here`);
    if (spec.hostPath) {
      const path = await prepareHostPath(spec.hostPath);
      return { path, readOnly, kind: "persistent" };
    }
    if (spec.nfs) {
      const source = `${spec.nfs.server}:${spec.nfs.path}`;
      return this.#nfs(pod, name, source, readOnly || (spec.nfs.readOnly ?? false), spec.mountOptions ?? []);
    }
    throw new Error(`no volume plugin matched: ${sourceKind(spec)} volumes are not supported by this node`);
  }

  async #csi(pod: Pod, source: CsiSource): Promise<MountedVolume> {
    const { csi } = this.#options;
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
    const { host } = this.#options;
    const target = await makeFolder(this.#folders.volatile(podUid(pod)), "nfs", name, 0o750);
    if (!host.isMountPoint(target)) {
      const options = [...mountOptions, ...(readOnly ? ["ro"] : [])];
      await mountByProgram(host, { type: "nfs", source, target, options });
    }
    return { path: target, readOnly, kind: "persistent" };
  }
}

/** The folder of a volume in the pod's folder `base`, made if it is not there. */
async function makeFolder(base: string, kind: string, name: string, mode: number): Promise<string> {
  const path = volumeFolder(base, kind, name);
  if ((await ifPresent(stat(path))) === undefined) {
    await mkdir(path, { recursive: true, mode: 0o750 });
    await chmod(path, mode);
  }
  return path;
}

/** What is there already may be a file of the volume, for a file to be mounted on. */
async function makeMountPoint(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o755 }).catch((error: unknown) => {
    if (errnoOf(error) !== "EEXIST") throw error;
  });
}
