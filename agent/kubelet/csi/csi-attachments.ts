import { uniqueVolumeName } from "#shared/api/csi-names.ts";
import { isNotFound } from "#shared/api/errors.ts";
import { volumeAttachments } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { GrpcCode } from "#shared/grpc/grpc-error.ts";
import { VolumeError, VolumePending } from "../volumes/volume-error.ts";
import type { CsiDrivers } from "./csi-drivers.ts";
import type { PodVolumeRecord } from "./volume-record.ts";

export interface CsiAttachmentsOptions {
  readonly client: Client;
  /** The board's Node as the API has it. */
  node(): Node | undefined;
  readonly drivers: Pick<CsiDrivers, "allocatable">;
  /** What `inUse` tells has changed. */
  readonly onInUse: () => void;
}

/** Volumes that have to be attached to this board before pods can use them, and must not be taken off meanwhile. */
export class CsiAttachments {
  readonly #options: CsiAttachmentsOptions;
  /** Attachable volumes that pods here need, mounted or not: by name in the Node, with the pods. */
  readonly #wanted = new Map<string, Set<string>>();

  constructor(options: CsiAttachmentsOptions) {
    this.#options = options;
  }

  /** Names of attachable volumes as `status.volumesInUse` has them. */
  get inUse(): string[] {
    return [...this.#wanted.keys()].toSorted();
  }

  /** The pod needs the volume, whose name in the Node is given. */
  want({ driverName, volumeHandle, podUid }: PodVolumeRecord): string {
    const name = uniqueVolumeName({ driver: driverName, volumeHandle });
    const users = this.#wanted.get(name) ?? new Set();
    users.add(podUid);
    if (this.#wanted.has(name)) return name;
    this.#wanted.set(name, users);
    this.#options.onInUse();
    return name;
  }

  /**
   * What the attacher says of the attachment; nothing for a volume that needs none. Rejects with VolumePending until it
   * is attached, with VolumeError where it cannot be.
   */
  async attached(record: PodVolumeRecord): Promise<Readonly<Record<string, string>>> {
    if (record.attachmentID === "") return {};
    const { client, node } = this.#options;
    const name = this.want(record);
    if (client.isAway)
      throw new VolumePending(`volume ${name} may be attached elsewhere, and the master that knows is away`);
    const status = node()?.status;
    if (!status?.volumesInUse?.includes(name)) throw new VolumePending(`volume ${name} is not reported as in use yet`);
    if (!status.volumesAttached?.some((attached) => attached.name === name))
      throw new VolumePending(`volume ${name} is not attached to the node yet`, () => this.#isLimit(record));
    const attachment = await client.get(volumeAttachments, { name: record.attachmentID });
    const trouble = attachment.status?.attachError?.message;
    if (trouble)
      throw new VolumeError(`MountVolume.WaitForAttach failed for volume "${record.specVolID}" : ${trouble}`);
    if (!attachment.status?.attached) throw new VolumePending(`volume ${name} is not attached yet`);
    return attachment.status.attachmentMetadata ?? {};
  }

  /** Has the attacher said that the board can have no more? Then the cluster is told how many it can have (KEP-4876). */
  async #isLimit({ attachmentID, driverName }: PodVolumeRecord): Promise<boolean> {
    const { client, drivers } = this.#options;
    if (drivers.allocatable.period_s(driverName) === undefined) return false;
    const attachment = await client.get(volumeAttachments, { name: attachmentID }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (attachment?.status?.attachError?.errorCode !== GrpcCode.ResourceExhausted) return false;
    await drivers.allocatable.update(driverName);
    return true;
  }

  /** The pod needs none any more. */
  dismiss(podUid: string): void {
    let changed = false;
    for (const [name, users] of this.#wanted) {
      users.delete(podUid);
      if (users.size > 0) continue;
      this.#wanted.delete(name);
      changed = true;
    }
    if (changed) this.#options.onInUse();
  }
}
