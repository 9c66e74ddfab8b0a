import type { PersistentVolume } from "./types/core-v1.generated.ts";

/*
 * Volumes that are folders of a board. A controller of the master makes the PersistentVolume for the board that the
 * scheduler chose; that board's kubelet makes the folder when a pod mounts it, and its agent removes it when the volume
 * is deleted. They meet only in the volume: its label names the board, its finalizer stands until the folder is gone.
 */

/** Provisioner of the StorageClass `local-path`. */
export const localPathProvisionerName = "bramble.dev/local-path";
export const localPathClassName = "local-path";

/** Label of a volume: the Node that has its folder. */
export const localPathNodeLabel = "bramble.dev/node";

/** On volumes whose folder goes with them. */
export const localPathFinalizer = "bramble.dev/local-path";

/** Volumes of one board, as its agent asks for them and as the node authoriser lets it. */
export const localPathSelector = (nodeName: string): string => `${localPathNodeLabel}=${nodeName}`;

/** The folder's own name says whose data it holds. */
export const localPathFolderName = (volume: string, claim: { namespace: string; name: string }): string =>
  `${volume}_${claim.namespace}_${claim.name}`;

/** The folder of a volume that this provisioner made; undefined for any other, and for a path that it would not give. */
export function localPathFolder({ metadata, spec }: PersistentVolume): string | undefined {
  const path = spec?.local?.path;
  const { name = "", annotations } = metadata;
  if (path === undefined || annotations?.["pv.kubernetes.io/provisioned-by"] !== localPathProvisionerName)
    return undefined;
  const folder = path.slice(path.lastIndexOf("/") + 1);
  const isOwn = name !== "" && folder.startsWith(`${name}_`) && path.startsWith("/") && !path.split("/").includes("..");
  return isOwn ? path : undefined;
}
