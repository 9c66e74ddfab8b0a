import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import {
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  deviceClasses,
  namespaces,
  persistentVolumeClaims,
  persistentVolumes,
  podDisruptionBudgets,
  replicaSets,
  replicationControllers,
  resourceClaims,
  resourceSlices,
  services,
  statefulSets,
  storageClasses,
  volumeAttachments,
} from "#shared/api/resources.ts";
import type { StorageKinds } from "./framework.ts";

export const storageResources: { readonly [K in keyof StorageKinds]: ResourceRef<StorageKinds[K]> } = {
  claim: persistentVolumeClaims,
  volume: persistentVolumes,
  storageClass: storageClasses,
  csiNode: csiNodes,
  csiDriver: csiDrivers,
  capacity: csiStorageCapacities,
  attachment: volumeAttachments,
};

/** Everything that a plugin may read, nodes and pods apart, which the scheduler keeps in a form of its own. */
export const readByPlugins = [
  namespaces,
  services,
  replicationControllers,
  replicaSets,
  statefulSets,
  podDisruptionBudgets,
  ...Object.values(storageResources),
  resourceClaims,
  resourceSlices,
  deviceClasses,
] as unknown as readonly ResourceRef<KubeObject>[];
