import { join } from "node:path";
import {
  localPathFinalizer,
  localPathFolderName,
  localPathNodeLabel,
  localPathProvisionerName,
} from "#shared/api/local-path.ts";
import { compareQuantities, parseQuantity } from "#shared/api/quantity.ts";
import { volumeAnnotations } from "#shared/api/scheduling/volume-match.ts";
import type { Node, PersistentVolume, PersistentVolumeClaim } from "#shared/api/types/core-v1.generated.ts";
import type { StorageClass } from "#shared/api/types/storage-v1.generated.ts";

const hostnameLabel = "kubernetes.io/hostname";
const maxLabelValue = 63;

export const volumeNameFor = (claim: PersistentVolumeClaim): string => `pvc-${claim.metadata.uid}`;

/** Why no folder can serve the claim; undefined when one can. */
export function refuseClaim(claim: PersistentVolumeClaim): string | undefined {
  const { spec } = claim;
  if (spec?.volumeMode === "Block") return "a folder of a board is no block device: use volumeMode Filesystem";
  if (spec?.selector) return "claims with a selector cannot get a new volume";
  if (spec?.dataSource || spec?.dataSourceRef) return "a folder cannot be made from a snapshot or another claim";
  const shared = (spec?.accessModes ?? []).find((mode) => mode === "ReadWriteMany" || mode === "ReadOnlyMany");
  return shared && `a folder lies on one board: access mode ${shared} needs a volume on the network, such as NFS`;
}

/** The volume for a claim on a board. Throws for a node whose name cannot be a label. */
export function localPathVolume(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  node: Node,
  storagePath: string,
): PersistentVolume {
  const { namespace = "", name = "", uid } = claim.metadata;
  const nodeName = node.metadata.name ?? "";
  if (nodeName.length > maxLabelValue) throw new Error(`the name of node ${nodeName} is too long for a label`);
  const volume = volumeNameFor(claim);
  const reclaim = storageClass.reclaimPolicy ?? "Delete";
  const root = storageClass.parameters?.["nodePath"] ?? storagePath;
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: {
      name: volume,
      labels: { [localPathNodeLabel]: nodeName },
      annotations: { [volumeAnnotations.dynamicallyProvisioned]: localPathProvisionerName },
      ...(reclaim === "Delete" ? { finalizers: [localPathFinalizer] } : {}),
    },
    spec: {
      capacity: { storage: claim.spec?.resources?.requests?.["storage"] ?? "0" },
      accessModes: claim.spec?.accessModes,
      persistentVolumeReclaimPolicy: reclaim,
      storageClassName: storageClass.metadata.name,
      volumeMode: "Filesystem",
      local: { path: join(root, localPathFolderName(volume, { namespace, name })) },
      claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, name, uid },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            {
              matchExpressions: [
                { key: hostnameLabel, operator: "In", values: [node.metadata.labels?.[hostnameLabel] ?? nodeName] },
              ],
            },
          ],
        },
      },
    },
  };
}

/** The size that a bound claim asks for, when it is more than its volume has. */
export function grownSize(claim: PersistentVolumeClaim, volume: PersistentVolume): string | undefined {
  const wanted = claim.spec?.resources?.requests?.["storage"];
  const present = volume.spec?.capacity?.["storage"] ?? "0";
  if (wanted === undefined) return undefined;
  return compareQuantities(parseQuantity(wanted), parseQuantity(present)) > 0 ? String(wanted) : undefined;
}
