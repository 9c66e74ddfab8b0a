import { isAlreadyExists } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { localPathFinalizer, localPathNodeLabel, localPathProvisionerName } from "#shared/api/local-path.ts";
import { keyOf } from "#shared/api/object.ts";
import { nodes, persistentVolumeClaims, persistentVolumes, storageClasses } from "#shared/api/resources.ts";
import { isBound, volumeAnnotations } from "#shared/api/scheduling/volume-match.ts";
import { storageClassNameOf } from "#shared/api/storage-class-name.ts";
import type { PersistentVolume, PersistentVolumeClaim } from "#shared/api/types/core-v1.generated.ts";
import type { StorageClass } from "#shared/api/types/storage-v1.generated.ts";
import {
  type ControllerContext,
  type ControllerDefinition,
  defineController,
  watching,
} from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { grownSize, localPathVolume, refuseClaim, volumeNameFor } from "./local-path-plan.ts";

export interface LocalPathOptions {
  /** Folder on every board that holds the volumes. */
  readonly storagePath: string;
}

const claimKey = (key: string): string => `claim/${key}`;
const volumeKey = (name = ""): string => `volume/${name}`;
const boardOf = ({ metadata }: PersistentVolume): string | undefined => metadata.labels?.[localPathNodeLabel];

/**
 * Volumes out of folders of boards, for claims of classes with the provisioner bramble.dev/local-path: made for the board
 * that the scheduler chose, grown with their claim, deleted with it. The folder itself is the board's: see
 * agent/kubelet/volumes/local-path.ts.
 */
export const localPathProvisioner = (options: LocalPathOptions): ControllerDefinition =>
  defineController({
    name: "local-path-provisioner",
    watches: [
      watching(persistentVolumeClaims, { enqueue: (claim) => [claimKey(keyOf(claim))] }),
      watching(persistentVolumes, {
        when: ({ object }) => boardOf(object) !== undefined,
        enqueue: ({ metadata, spec }) => [
          volumeKey(metadata.name),
          ...(spec?.claimRef ? [claimKey(`${spec.claimRef.namespace}/${spec.claimRef.name}`)] : []),
        ],
        indexes: { board: (volume) => [boardOf(volume) ?? []].flat() },
      }),
      watching(storageClasses, {
        enqueue: ({ metadata }, { lister }) =>
          lister(persistentVolumeClaims)
            .list()
            .filter((claim) => !isBound(claim) && storageClassNameOf(claim) === metadata.name)
            .map((claim) => claimKey(keyOf(claim))),
      }),
      watching(nodes, {
        when: ({ type }) => type === "delete",
        enqueue: ({ metadata }, { lister }) =>
          lister(persistentVolumes)
            .byIndex("board", metadata.name ?? "")
            .map((volume) => volumeKey(volume.metadata.name)),
      }),
    ],
    resync_s: 600,
    async reconcile(key, context) {
      if (key.startsWith("volume/")) return reconcileVolume(key.slice("volume/".length), context);
      return reconcileClaim(key.slice("claim/".length), context, options);
    },
  });

async function reconcileClaim(key: string, context: ControllerContext, options: LocalPathOptions): Promise<void> {
  const claim = context.lister(persistentVolumeClaims).get(key);
  if (!claim || claim.metadata.deletionTimestamp) return;
  const storageClass = context.lister(storageClasses).get(storageClassNameOf(claim));
  if (storageClass?.provisioner !== localPathProvisionerName) return;
  if (isBound(claim)) return grow(claim, storageClass, context);
  if (!claim.spec?.volumeName) return provision(claim, storageClass, context, options);
}

async function provision(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  context: ControllerContext,
  { storagePath }: LocalPathOptions,
): Promise<void> {
  const { client, events } = context;
  const fail = (message: string): void =>
    events.record(claim, { type: "Warning", reason: "ProvisioningFailed", message });
  const refusal = refuseClaim(claim);
  if (refusal) return fail(refusal);
  const chosen = claim.metadata.annotations?.[volumeAnnotations.selectedNode];
  if (chosen === undefined) {
    if (storageClass.volumeBindingMode === "WaitForFirstConsumer") return;
    const { name } = storageClass.metadata;
    return fail(`no board is chosen: StorageClass ${name} needs volumeBindingMode WaitForFirstConsumer`);
  }
  if (context.lister(persistentVolumes).get(volumeNameFor(claim))) return;
  const node = context.lister(nodes).get(chosen);
  if (!node) return chooseAgain(claim, chosen, context);
  try {
    const volume = await client.create(persistentVolumes, localPathVolume(claim, storageClass, node, storagePath));
    const message = `Successfully provisioned volume ${volume.metadata.name}`;
    events.record(claim, { type: "Normal", reason: "ProvisioningSucceeded", message });
  } catch (error) {
    if (isAlreadyExists(error)) return;
    fail(`failed to provision volume with StorageClass "${storageClass.metadata.name}": ${messageOf(error)}`);
    throw error;
  }
}

/** The board left after the scheduler had chosen it: the pod is to be placed anew. */
async function chooseAgain(
  claim: PersistentVolumeClaim,
  chosen: string,
  { client, events }: ControllerContext,
): Promise<void> {
  // The cache may not know the node yet.
  if (await unlessGone(client.get(nodes, { name: chosen }))) throw new Error(`node ${chosen} is not known here yet`);
  const { namespace, name = "", resourceVersion } = claim.metadata;
  const body = { metadata: { resourceVersion, annotations: { [volumeAnnotations.selectedNode]: null } } };
  await client.patch(persistentVolumeClaims, { namespace, name }, { type: "merge", body });
  const message = `node ${chosen} is gone: another one is to be chosen`;
  events.record(claim, { type: "Warning", reason: "ProvisioningFailed", message });
}

/** A folder has no size of its own: what the claim asks for is promised at once. */
async function grow(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  { lister, client, events }: ControllerContext,
): Promise<void> {
  const volume = lister(persistentVolumes).get(claim.spec?.volumeName ?? "");
  if (!volume || boardOf(volume) === undefined || storageClass.allowVolumeExpansion !== true) return;
  const size = grownSize(claim, volume);
  if (size !== undefined) {
    const spec = { ...volume.spec, capacity: { ...volume.spec?.capacity, storage: size } };
    await client.update(persistentVolumes, { ...volume, spec });
  }
  const promised = size ?? volume.spec?.capacity?.["storage"];
  if (promised === undefined || claim.status?.phase !== "Bound" || claim.status.capacity?.["storage"] === promised)
    return;
  const status = { ...claim.status, capacity: { ...claim.status.capacity, storage: promised } };
  await client.update(persistentVolumeClaims, { ...claim, status }, { subresource: "status" });
  const message = `MountVolume.NodeExpandVolume succeeded for volume "${volume.metadata.name}"`;
  events.record(claim, { type: "Normal", reason: "FileSystemResizeSuccessful", message });
}

async function reconcileVolume(name: string, { lister, client }: ControllerContext): Promise<void> {
  const volume = lister(persistentVolumes).get(name);
  const board = volume && boardOf(volume);
  if (!volume || board === undefined) return;
  const { uid, resourceVersion, deletionTimestamp, finalizers = [] } = volume.metadata;
  const deletes = volume.spec?.persistentVolumeReclaimPolicy === "Delete";
  const isHeld = finalizers.includes(localPathFinalizer);
  if (deletionTimestamp) {
    const released = volume.status?.phase !== "Bound";
    // With its board the folder is gone; nobody is left to say so.
    if (isHeld && released && !lister(nodes).get(board)) await setFinalizer(false);
    return;
  }
  if (deletes && volume.status?.phase === "Released") {
    await client.delete(persistentVolumes, { name }, { preconditions: { uid } });
  } else if (deletes !== isHeld) await setFinalizer(deletes);

  async function setFinalizer(held: boolean): Promise<void> {
    const others = finalizers.filter((finalizer) => finalizer !== localPathFinalizer);
    const body = { metadata: { resourceVersion, finalizers: held ? [...others, localPathFinalizer] : others } };
    await client.patch(persistentVolumes, { name }, { type: "merge", body });
  }
}
