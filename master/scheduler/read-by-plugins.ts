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

/** What decides on the volumes that nodes can have, claims apart. */
export const storageOfNodes = [
  persistentVolumes,
  storageClasses,
  csiNodes,
  csiDrivers,
  csiStorageCapacities,
  volumeAttachments,
] as unknown as readonly ResourceRef<KubeObject>[];

/** Everything that a plugin may read, nodes and pods apart, which the scheduler keeps in a form of its own. */
export const readByPlugins = [
  namespaces,
  services,
  replicationControllers,
  replicaSets,
  statefulSets,
  podDisruptionBudgets,
  persistentVolumeClaims,
  ...storageOfNodes,
  resourceClaims,
  resourceSlices,
  deviceClasses,
] as unknown as readonly ResourceRef<KubeObject>[];
