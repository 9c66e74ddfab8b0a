import { mkdir, rm, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Host } from "#agent/host/host.ts";
import { attachmentName } from "#shared/api/csi-names.ts";
import { wholeValue } from "#shared/api/quantity.ts";
import type { Node, Pod, SecretReference } from "#shared/api/types/core-v1.generated.ts";
import type { CSIDriver } from "#shared/api/types/storage-v1.generated.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { Log } from "#shared/client/log.ts";
import { ifPresent } from "#shared/files/if-present.ts";
import { KeyedTasks } from "../keyed-tasks.ts";
import { podUid } from "../pod-containers.ts";
import { LookTimes } from "../volumes/look-times.ts";
import { setGroupOwnership } from "../volumes/ownership.ts";
import { assertOnlyUser } from "../volumes/persistent-volume.ts";
import { VolumeError, VolumePending } from "../volumes/volume-error.ts";
import { VolumeGrowth } from "../volumes/volume-growth.ts";
import type { VolumeUsage } from "../volumes/volume-stats.ts";
import { CsiAttachments } from "./csi-attachments.ts";
import type { CsiDriver } from "./csi-driver.ts";
import type { CsiDrivers } from "./csi-drivers.ts";
import { CsiInputs, type CsiInputsOptions } from "./csi-inputs.ts";
import { nodeCapabilities, type VolumeCapability } from "./csi-messages.ts";
import {
  accessMode,
  assertLifecycleMode,
  type CsiSource,
  capabilityOf,
  growthTrouble,
  ownsFiles,
  volumeContext,
  volumeUsage,
} from "./csi-requests.ts";
import { CsiFolders, type PodVolumeRecord, type StagedRecord } from "./volume-record.ts";

export interface CsiVolumesOptions extends CsiInputsOptions {
  /** The kubelet's folder that drivers know: /var/lib/kubelet. */
  readonly root: string;
  readonly nodeName: string;
  readonly host: Host;
  readonly drivers: CsiDrivers;
  /** The board's Node as the API has it. */
  node(): Node | undefined;
  readonly events: EventRecorder;
  /** What `inUse` tells has changed. */
  readonly onInUse: () => void;
  readonly log: Log;
}

/** Stages and publishes volumes by their CSI drivers, and takes them off again: the node side of CSI. */
export class CsiVolumes {
  readonly #options: CsiVolumesOptions;
  readonly #folders: CsiFolders;
  /** By pod and volume: what may be published. */
  readonly #records = new Map<string, PodVolumeRecord>();
  readonly #staged = new Map<string, StagedRecord>();
  /** Staged by this process: a driver need not mount anything. */
  readonly #stagedNow = new Set<string>();
  readonly #attachments: CsiAttachments;
  readonly #inputs: CsiInputs;
  /** Published by this process, likewise. */
  readonly #published = new Set<string>();
  /** Of drivers that want a volume published again and again, and of volumes that may have grown. */
  readonly #looks = new LookTimes();
  readonly #growth: VolumeGrowth;
  readonly #tasks = new KeyedTasks();
  readonly #loaded: Promise<void>;

  constructor(options: CsiVolumesOptions) {
    this.#options = options;
    this.#folders = new CsiFolders(options.root);
    this.#attachments = new CsiAttachments(options);
    this.#inputs = new CsiInputs(options);
    this.#growth = new VolumeGrowth(options);
    this.#loaded = this.#load();
    this.#loaded.catch((error: unknown) => options.log.error("records of CSI volumes cannot be read", { error }));
  }

  async #load(): Promise<void> {
    const onBroken = (path: string, error: unknown): void =>
      this.#options.log.warn("a record of a CSI volume is damaged", { path, error });
    for (const record of await this.#folders.podVolumes(onBroken)) {
      this.#records.set(recordKey(record), record);
      if (record.attachmentID !== "") this.#attachments.want(record);
    }
    for (const staged of await this.#folders.staged(onBroken)) this.#staged.set(stagedKey(staged), staged);
  }

  /** Names of attachable volumes as `status.volumesInUse` has them: those must not be detached. */
  get inUse(): string[] {
    return this.#attachments.inUse;
  }

  /** Pods that have left volumes on this board, as far as is known. */
  async podsWithVolumes(): Promise<string[]> {
    await this.#loaded;
    return [...new Set([...this.#records.values()].map((record) => record.podUid))];
  }

  /** How full a pod's volume is, by its driver's word; undefined where the driver tells nothing. */
  async usage(podUid: string, specVolID: string): Promise<VolumeUsage | undefined> {
    await this.#loaded;
    const record = this.#records.get(recordKey({ podUid, specVolID }));
    if (!record) return undefined;
    const driver = this.#driver(record.driverName);
    if (!(await driver.can(nodeCapabilities.volumeStats))) return undefined;
    const stagingTargetPath = this.#staged.get(volumeKey(record.driverName, record.volumeHandle))?.path ?? "";
    const volumePath = this.#folders.target(record);
    const { usage, condition } = await driver.stats({ volumeId: record.volumeHandle, volumePath, stagingTargetPath });
    const judges = await driver.can(nodeCapabilities.volumeCondition);
    return volumeUsage(usage, judges ? condition : undefined);
  }

  /** When a pod's volumes are to be refreshed next; undefined for a pod without such. */
  refreshAt_ms(podUid: string): number | undefined {
    return this.#looks.at_ms(podUid);
  }

  /**
   * The path of the published volume. Idempotent; a volume whose driver asks for it is published anew. Rejects with
   * VolumePending while the volume is being attached, with VolumeError where the driver refuses or is not there.
   */
  async mount(source: CsiSource, pod: Pod): Promise<string> {
    await this.#loaded;
    return this.#tasks.run(volumeKey(source.driver, source.volumeHandle), () => this.#mount(source, pod));
  }

  async #mount(source: CsiSource, pod: Pod): Promise<string> {
    const setup = `MountVolume.SetUp failed for volume "${source.specVolID}" : `;
    const about = await this.#inputs.describe(source.driver);
    const record = this.#newRecord(source, pod, about);
    const target = this.#folders.target(record);
    const repeats = about?.spec.requiresRepublish === true && !this.#options.client.isAway;
    const isThere = this.#isPublished(record, target) && !repeats;
    // What is published is attached, and stays so while it is in use.
    if (isThere && record.attachmentID !== "") this.#attachments.want(record);
    const attached = isThere ? {} : await this.#attachments.attached(record);
    try {
      const { volume } = source;
      const driver = this.#driver(source.driver, volume ? undefined : "mounter.SetUpAt failed to get CSI client");
      assertLifecycleMode(source, about);
      if (isThere) {
        await this.#grow(source, driver, pod, target);
        return target;
      }
      const users = this.#users(volumeKey(source.driver, source.volumeHandle));
      if (volume)
        assertOnlyUser(
          volume,
          users.some((user) => user.podUid !== record.podUid),
        );
      await this.#folders.keepPodVolume(record);
      this.#records.set(recordKey(record), record);
      const staging = await this.#stage(source, driver, pod, attached);
      await this.#publish({ source, driver, about, pod, target, staging, publishContext: attached });
      this.#published.add(recordKey(record));
      if (repeats) this.#looks.later(record.podUid);
      await this.#grow(source, driver, pod, target);
      await this.#tellUngrown(source, driver, pod);
      return target;
    } catch (error) {
      if (error instanceof VolumeError || error instanceof VolumePending) throw error;
      throw new VolumeError(setup + (error as Error).message, { cause: error });
    }
  }

  #newRecord(source: CsiSource, pod: Pod, about: CSIDriver | undefined): PodVolumeRecord {
    const { driver, volumeHandle, specVolID, block, volume } = source;
    const { nodeName } = this.#options;
    const isAttachable = volume !== undefined && about?.spec.attachRequired !== false;
    return {
      specVolID,
      volumeHandle,
      driverName: driver,
      nodeName,
      attachmentID: isAttachable ? attachmentName(source, nodeName) : "",
      volumeLifecycleMode: volume ? "Persistent" : "Ephemeral",
      podUid: podUid(pod),
      block,
    };
  }

  #isPublished(record: PodVolumeRecord, target: string): boolean {
    return this.#published.has(recordKey(record)) || this.#options.host.isMountPoint(target);
  }

  #driver(name: string, what = "failed to create newCsiDriverClient"): CsiDriver {
    try {
      return this.#options.drivers.get(name);
    } catch (error) {
      throw new Error(`kubernetes.io/csi: ${what}: ${(error as Error).message}`);
    }
  }

  /** The path where the volume is staged; empty for a driver that does not stage. */
  async #stage(
    source: CsiSource,
    driver: CsiDriver,
    pod: Pod,
    publishContext: Readonly<Record<string, string>>,
  ): Promise<string> {
    const { volume, specVolID, volumeHandle, block } = source;
    if (!volume || !(await driver.can(nodeCapabilities.stageUnstage))) return "";
    const path = this.#folders.staging(driver.name, volumeHandle, specVolID, block);
    const key = volumeKey(driver.name, volumeHandle);
    if (this.#stagedNow.has(key) || this.#options.host.isMountPoint(path)) return path;
    const staged: StagedRecord = { driverName: driver.name, volumeHandle, path, block };
    try {
      await mkdir(path, { recursive: true, mode: 0o750 });
      await this.#folders.keepStaged(staged);
      this.#staged.set(key, staged);
      await driver.stage({
        volumeId: volumeHandle,
        publishContext,
        stagingTargetPath: path,
        volumeCapability: await this.#capability(
          source,
          driver,
          await this.#mountGroup(driver, pod.spec.securityContext?.fsGroup),
        ),
        secrets: await this.#inputs.secrets(volume.spec.csi?.nodeStageSecretRef),
        volumeContext: { ...source.attributes },
      });
      this.#stagedNow.add(key);
      return path;
    } catch (error) {
      const operation = block ? "MapVolume.SetUpDevice" : "MountVolume.MountDevice";
      throw new VolumeError(`${operation} failed for volume "${specVolID}" : ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  async #publish(input: {
    readonly source: CsiSource;
    readonly driver: CsiDriver;
    readonly about: CSIDriver | undefined;
    readonly pod: Pod;
    readonly target: string;
    readonly staging: string;
    readonly publishContext: Readonly<Record<string, string>>;
  }): Promise<void> {
    const { source, driver, about, pod, target, staging, publishContext } = input;
    const { fsGroup, fsGroupChangePolicy } = pod.spec.securityContext ?? {};
    const mountGroup = await this.#mountGroup(driver, fsGroup);
    const tokens = await this.#inputs.tokens(pod, about);
    const inSecrets = about?.spec.serviceAccountTokenInSecrets === true;
    await mkdir(dirname(target), { recursive: true, mode: 0o750 });
    await driver.publish({
      volumeId: source.volumeHandle,
      publishContext,
      stagingTargetPath: staging,
      targetPath: target,
      volumeCapability: await this.#capability(source, driver, mountGroup),
      readonly: source.readOnly,
      secrets: { ...(await this.#inputs.secrets(publishSecret(source, pod))), ...(inSecrets ? tokens : {}) },
      volumeContext: { ...volumeContext(source, about, pod), ...(inSecrets ? {} : tokens) },
    });
    if (fsGroup === undefined || mountGroup !== undefined || !ownsFiles(source, about)) return;
    const onlyOnRootMismatch = fsGroupChangePolicy === "OnRootMismatch";
    await setGroupOwnership(target, { fsGroup, readOnly: source.readOnly, onlyOnRootMismatch });
  }

  /** Grows the volume's file system where the volume has become larger. A pod runs with what it has meanwhile. */
  async #grow(source: CsiSource, driver: CsiDriver, pod: Pod, target: string): Promise<void> {
    const { volume, volumeHandle, specVolID, block } = source;
    if (!volume || source.readOnly || !(await driver.can(nodeCapabilities.expand))) return;
    this.#looks.later(podUid(pod));
    await this.#growth.grow(volume, pod, {
      expand: async (size) => {
        const stages = await driver.can(nodeCapabilities.stageUnstage);
        await driver.expand({
          volumeId: volumeHandle,
          volumePath: target,
          capacityRange: { requiredBytes: wholeValue(size), limitBytes: 0 },
          stagingTargetPath: stages ? this.#folders.staging(driver.name, volumeHandle, specVolID, block) : "",
          volumeCapability: await this.#capability(source, driver, undefined),
          secrets: await this.#inputs.secrets(volume.spec.csi?.nodeExpandSecretRef),
        });
      },
      judge: growthTrouble,
    });
  }

  /** Once a mount: a volume that is read only will not grow while it is. */
  async #tellUngrown({ volume, readOnly }: CsiSource, driver: CsiDriver, pod: Pod): Promise<void> {
    if (!volume || !readOnly || !(await driver.can(nodeCapabilities.expand))) return;
    await this.#growth.tellReadOnly(volume, pod);
  }

  /** The group that the driver itself gives the volume to; undefined where that is the kubelet's to do. */
  async #mountGroup(driver: CsiDriver, fsGroup: number | undefined): Promise<number | undefined> {
    if (fsGroup === undefined) return undefined;
    return (await driver.can(nodeCapabilities.volumeMountGroup)) ? fsGroup : undefined;
  }

  async #capability(source: CsiSource, driver: CsiDriver, group: number | undefined): Promise<VolumeCapability> {
    const knowsSingleWriters = await driver.can(nodeCapabilities.singleNodeMultiWriter);
    return capabilityOf(source, accessMode(source.volume, knowsSingleWriters), group);
  }

  /**
   * Takes all CSI volumes of a pod off the board, and what no other pod uses any more off its drivers. Rejects when a
   * driver is not there or refuses; what was done stays done.
   */
  async unmount(podUid: string): Promise<void> {
    await this.#loaded;
    for (const record of [...this.#records.values()].filter((each) => each.podUid === podUid)) {
      const key = volumeKey(record.driverName, record.volumeHandle);
      await this.#tasks.run(key, async () => {
        await this.#unpublish(record);
        if (this.#users(key).length === 0) await this.#unstage(key);
      });
    }
    this.#looks.forget(podUid);
    this.#growth.forget(podUid);
    this.#attachments.dismiss(podUid);
  }

  /** Unstages what a crash has left behind: staged volumes that no pod here uses. */
  async unstageUnused(): Promise<void> {
    await this.#loaded;
    for (const key of [...this.#staged.keys()]) {
      try {
        await this.#tasks.run(key, async () => {
          if (this.#users(key).length === 0) await this.#unstage(key);
        });
      } catch (error) {
        this.#options.log.warn("a volume that nobody uses could not be unstaged", { volume: key, error });
      }
    }
  }

  async #unpublish(record: PodVolumeRecord): Promise<void> {
    const target = this.#folders.target(record);
    await this.#driver(record.driverName).unpublish(record.volumeHandle, target);
    this.#published.delete(recordKey(record));
    await this.#removeTarget(target, record.block);
    await this.#folders.forgetPodVolume(record);
    this.#records.delete(recordKey(record));
  }

  async #unstage(key: string): Promise<void> {
    const staged = this.#staged.get(key);
    if (!staged) return;
    await this.#driver(staged.driverName).unstage(staged.volumeHandle, staged.path);
    this.#stagedNow.delete(key);
    await this.#removeTarget(staged.path, false);
    await this.#folders.forgetStaged(staged);
    this.#staged.delete(key);
  }

  /** Never with what is in it: that may still be the volume. */
  async #removeTarget(path: string, isFile: boolean): Promise<void> {
    if (this.#options.host.isMountPoint(path)) throw new Error(`${path} is still mounted after the driver's answer`);
    if (isFile) await rm(path, { force: true });
    else await removeFolder(path);
  }

  #users(key: string): PodVolumeRecord[] {
    return [...this.#records.values()].filter((each) => volumeKey(each.driverName, each.volumeHandle) === key);
  }
}

const recordKey = ({ podUid, specVolID }: Pick<PodVolumeRecord, "podUid" | "specVolID">): string =>
  `${podUid}/${specVolID}`;
const volumeKey = (driver: string, volumeHandle: string): string => `${driver}^${volumeHandle}`;
const stagedKey = ({ driverName, volumeHandle }: StagedRecord): string => volumeKey(driverName, volumeHandle);

function publishSecret({ volume, specVolID }: CsiSource, pod: Pod): SecretReference | undefined {
  if (volume) return volume.spec.csi?.nodePublishSecretRef;
  const inline = pod.spec.volumes?.find(({ name }) => name === specVolID)?.csi?.nodePublishSecretRef;
  return inline && { ...inline, namespace: pod.metadata.namespace };
}

async function removeFolder(path: string): Promise<void> {
  await ifPresent(rmdir(path));
}
