/**
 * What is kept on disk of each CSI volume, where upstream's kubelet keeps it too: a board whose agent starts anew knows
 * from it what is mounted, and how to take it off. Drivers know these folders: their pods mount them.
 */
import { mkdir, readdir, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { stagingFolderName } from "#shared/api/csi-names.ts";
import { errnoOf, readIfPresent } from "#shared/files/if-present.ts";
import { syncFolder } from "#shared/files/secure-file.ts";

/** vol_data.json beside a pod's volume. */
export interface VolumeRecord {
  /** Name of the PersistentVolume, or of the pod's volume where that is its own. */
  readonly specVolID: string;
  readonly volumeHandle: string;
  readonly driverName: string;
  readonly nodeName: string;
  /** Name of the VolumeAttachment; empty where the driver attaches nothing. */
  readonly attachmentID: string;
  readonly volumeLifecycleMode: "Persistent" | "Ephemeral";
}

export interface PodVolumeRecord extends VolumeRecord {
  readonly podUid: string;
  readonly block: boolean;
}

export interface StagedRecord {
  readonly driverName: string;
  readonly volumeHandle: string;
  readonly path: string;
  readonly block: boolean;
}

const dataFile = "vol_data.json";
const plugin = "kubernetes.io~csi";

/** Where things lie below the kubelet's folder, /var/lib/kubelet. */
export class CsiFolders {
  constructor(readonly root: string) {}

  podVolume(podUid: string, specVolID: string, block: boolean): string {
    return join(this.root, "pods", podUid, block ? "volumeDevices" : "volumes", plugin, specVolID);
  }

  /** What the driver is asked to publish at: a folder, or a file for a block device. */
  target({ podUid, specVolID, block }: Pick<PodVolumeRecord, "podUid" | "specVolID" | "block">): string {
    if (block) return join(this.#devices, "publish", specVolID, podUid);
    return join(this.podVolume(podUid, specVolID, false), "mount");
  }

  /** What the driver is asked to stage at. */
  staging(driver: string, volumeHandle: string, specVolID: string, block: boolean): string {
    if (block) return join(this.#devices, "staging", specVolID);
    return join(this.#drivers, driver, stagingFolderName(volumeHandle), "globalmount");
  }

  get #drivers(): string {
    return join(this.root, "plugins", "kubernetes.io", "csi");
  }

  get #devices(): string {
    return join(this.#drivers, "volumeDevices");
  }

  async keepPodVolume({ podUid, block, ...record }: PodVolumeRecord): Promise<void> {
    await writeRecord(join(this.podVolume(podUid, record.specVolID, block), dataFile), record);
  }

  /** Takes the record away, and the folders that are empty then. */
  async forgetPodVolume({ podUid, specVolID, block }: PodVolumeRecord): Promise<void> {
    const folder = this.podVolume(podUid, specVolID, block);
    await removeRecord(join(folder, dataFile));
    await removeEmpty(folder, join(this.root, "pods"));
  }

  async keepStaged({ path, driverName, volumeHandle }: StagedRecord): Promise<void> {
    await writeRecord(stagedDataFile(path), { driverName, volumeHandle });
  }

  async forgetStaged({ path }: StagedRecord): Promise<void> {
    await removeRecord(stagedDataFile(path));
    await removeEmpty(path, this.#drivers);
  }

  /** Volumes of pods. A record that cannot be read is reported, and left. */
  async podVolumes(onBroken: (path: string, error: unknown) => void): Promise<PodVolumeRecord[]> {
    const found: PodVolumeRecord[] = [];
    for (const podUid of await namesIn(join(this.root, "pods"))) {
      for (const block of [false, true]) {
        const folder = dirname(this.podVolume(podUid, "x", block));
        for (const name of await namesIn(folder)) {
          const record = await readRecord<VolumeRecord>(join(folder, name, dataFile), onBroken);
          if (record) found.push({ ...record, podUid, block });
        }
      }
    }
    return found;
  }

  async staged(onBroken: (path: string, error: unknown) => void): Promise<StagedRecord[]> {
    const found: StagedRecord[] = [];
    const take = async (path: string, block: boolean): Promise<void> => {
      const record = await readRecord<Omit<StagedRecord, "path" | "block">>(stagedDataFile(path), onBroken);
      if (record) found.push({ ...record, path, block });
    };
    for (const driver of await namesIn(this.#drivers)) {
      if (driver === "volumeDevices") continue;
      for (const volume of await namesIn(join(this.#drivers, driver)))
        await take(join(this.#drivers, driver, volume, "globalmount"), false);
    }
    for (const name of await namesIn(join(this.#devices, "staging")))
      if (!name.endsWith(`.${dataFile}`)) await take(join(this.#devices, "staging", name), true);
    return found;
  }
}

/** Beside the folder that the driver mounts at, never in it. */
const stagedDataFile = (path: string): string =>
  path.endsWith("/globalmount") ? join(dirname(path), dataFile) : `${path}.${dataFile}`;

/** Whole or not at all: of a record that a full card or a power cut left empty nobody could take the volume off. */
async function writeRecord(path: string, record: object): Promise<void> {
  const text = JSON.stringify(record);
  if ((await readIfPresent(path)) === text) return;
  await mkdir(dirname(path), { recursive: true, mode: 0o750 });
  const half = halfWritten(path);
  try {
    await writeFile(half, text, { mode: 0o600, flush: true });
    await rename(half, path);
  } catch (error) {
    await rm(half, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

async function removeRecord(path: string): Promise<void> {
  for (const each of [path, halfWritten(path)]) await rm(each, { force: true });
}

const halfWritten = (path: string): string => `${path}.new`;

async function readRecord<T>(path: string, onBroken: (path: string, error: unknown) => void): Promise<T | undefined> {
  try {
    const text = await readIfPresent(path);
    return text === undefined ? undefined : (JSON.parse(text) as T);
  } catch (error) {
    onBroken(path, error);
    return undefined;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
    throw error;
  }
}

/** Removes a folder and those above it, up to `top`, as long as nothing is in them. Never what is in one. */
async function removeEmpty(folder: string, top: string): Promise<void> {
  for (let path = folder; path.startsWith(`${top}/`); path = dirname(path)) {
    try {
      await rmdir(path);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") continue;
      if (errnoOf(error) === "ENOTEMPTY" || errnoOf(error) === "EBUSY") return;
      throw error;
    }
  }
}
