import { hasReason, isNotFound } from "#shared/api/errors.ts";
import { claimNameOf } from "#shared/api/pod-claims.ts";
import { persistentVolumeClaims, persistentVolumes } from "#shared/api/resources.ts";
import { matchesNodeSelector } from "#shared/api/scheduling/node-affinity.ts";
import type { Node, PersistentVolume, PersistentVolumeSpec, Pod, Volume } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { ClaimLeaving, VolumeError } from "./volume-error.ts";

export interface ResolvedClaim {
  readonly volume: PersistentVolume;
  readonly readOnly: boolean;
}

/** The claim that a volume names, or the one made for a generic ephemeral volume; undefined for other volumes. */
export function podClaimOf(pod: Pod, volume: Volume): { name: string; readOnly: boolean } | undefined {
  const name = claimNameOf(pod, volume);
  return name === undefined ? undefined : { name, readOnly: volume.persistentVolumeClaim?.readOnly ?? false };
}

/** The volume bound to a claim. Rejects with Error, worded as upstream, until there is one. */
export async function resolveClaim(client: Client, pod: Pod, name: string, readOnly: boolean): Promise<ResolvedClaim> {
  const namespace = pod.metadata.namespace ?? "";
  const claim = await client.get(persistentVolumeClaims, { namespace, name }).catch((error) => {
    if (isNotFound(error) || hasReason(error, "Forbidden")) {
      throw new Error(`error processing PVC ${namespace}/${name}: persistentvolumeclaim "${name}" not found`);
    }
    throw error;
  });
  if (claim.metadata.deletionTimestamp !== undefined) {
    throw new ClaimLeaving(`error processing PVC ${namespace}/${name}: PVC is being deleted`);
  }
  if (claim.status?.phase !== "Bound" || !claim.spec.volumeName) {
    throw new Error(`error processing PVC ${namespace}/${name}: PVC is not bound`);
  }
  const volume = await client.get(persistentVolumes, { name: claim.spec.volumeName });
  if (volume.spec.claimRef?.uid !== claim.metadata.uid) {
    throw new Error(
      `error processing PVC ${namespace}/${name}: PV ${volume.metadata.name} claimRef UID does not match claim UID`,
    );
  }
  const onlyReads = claim.spec.accessModes?.every((mode) => mode === "ReadOnlyMany") ?? false;
  return { volume, readOnly: readOnly || onlyReads };
}

/** Throws VolumeError, worded as upstream, where the volume is another node's: a pod may have been put here past the scheduler. */
export function assertOnBoard({ metadata, spec }: PersistentVolume, node: Node | undefined): void {
  const required = spec.nodeAffinity?.required;
  if (!required || !node || matchesNodeSelector(required, node)) return;
  const message = `MountVolume.NodeAffinity check failed for volume "${metadata.name}" : no matching NodeSelectorTerms`;
  throw new VolumeError(message);
}

/** Throws Error, worded as upstream, where only one pod may have the volume and another has it: the scheduler may have been passed by. */
export function assertOnlyUser({ spec }: PersistentVolume, isInUse: boolean): void {
  const { accessModes = [] } = spec;
  if (isInUse && accessModes.length === 1 && accessModes[0] === "ReadWriteOncePod")
    throw new Error("volume uses the ReadWriteOncePod access mode and is already in use by another pod");
}

/** The kind of source of a persistent volume, for messages about those that this board cannot mount. */
export function sourceKind(spec: PersistentVolumeSpec): string {
  const common = new Set([
    "capacity",
    "accessModes",
    "claimRef",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "mountOptions",
    "volumeMode",
    "nodeAffinity",
    "volumeAttributesClassName",
  ]);
  return Object.keys(spec).find((key) => !common.has(key)) ?? "unknown";
}
