import { compareQuantities, parseQuantity } from "#shared/api/quantity.ts";
import { persistentVolumeClaims } from "#shared/api/resources.ts";
import type { PersistentVolume, PersistentVolumeClaim, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";

/** Conditions that say that somebody still has to make the volume larger. */
const passing = new Set(["FileSystemResizePending", "Resizing", "NodeResizeError"]);

/** The claim's volume is larger than the claim knows: its file system is to be grown on the node (pure). */
function wantsToGrow(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const has = claim.status?.capacity?.["storage"];
  const wanted = volume.spec.capacity?.["storage"];
  if (claim.status?.phase !== "Bound" || has === undefined || wanted === undefined) return false;
  return compareQuantities(parseQuantity(has), parseQuantity(wanted)) < 0;
}

/** The claim of a volume that wants to grow; undefined when there is nothing to do. */
export async function claimToGrow(
  client: Client,
  volume: PersistentVolume,
): Promise<PersistentVolumeClaim | undefined> {
  const { namespace = "", name = "" } = volume.spec.claimRef ?? {};
  if (name === "") return undefined;
  const claim = await client.get(persistentVolumeClaims, { namespace, name });
  return wantsToGrow(volume, claim) ? claim : undefined;
}

/** Tells the pod and the claim that a volume which is to grow cannot, since it is mounted to be read only. */
export async function tellReadOnly(
  client: Client,
  events: EventRecorder,
  pod: Pod,
  volume: PersistentVolume,
): Promise<void> {
  const claim = await claimToGrow(client, volume);
  if (!claim) return;
  const prefix = `MountVolume.NodeExpandVolume failed for volume "${volume.metadata.name}"`;
  const message = `${prefix} requested read-only file system`;
  for (const object of [pod, claim])
    events.record(object, { type: "Warning", reason: "FileSystemResizeFailed", message });
}

/** Says in the claim that its volume has grown. */
export async function tellGrown(client: Client, volume: PersistentVolume, claim: PersistentVolumeClaim): Promise<void> {
  const { namespace = "", name = "", resourceVersion } = claim.metadata;
  const status = {
    capacity: { ...claim.status?.capacity, storage: volume.spec.capacity?.["storage"] },
    conditions: (claim.status?.conditions ?? []).filter(({ type }) => !passing.has(type)),
    allocatedResourceStatuses: { storage: null },
  };
  const body = { metadata: { resourceVersion }, status };
  await client.patch(persistentVolumeClaims, { namespace, name }, { type: "merge", body }, { subresource: "status" });
}
