/** Names by which kubelets, the attach/detach controller and drivers' attachers find the same volume. */
import { createHash } from "node:crypto";

export interface CsiVolumeName {
  readonly driver: string;
  readonly volumeHandle: string;
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The VolumeAttachment of a volume on a node. */
export const attachmentName = ({ driver, volumeHandle }: CsiVolumeName, nodeName: string): string =>
  `csi-${sha256(`${volumeHandle}${driver}${nodeName}`)}`;

/** The volume's name in a node's `volumesInUse` and `volumesAttached`. */
export const uniqueVolumeName = ({ driver, volumeHandle }: CsiVolumeName): string =>
  `kubernetes.io/csi/${driver}^${volumeHandle}`;

/** The folder of a volume under its driver's, where it is staged: a handle may hold anything. */
export const stagingFolderName = (volumeHandle: string): string => sha256(volumeHandle);
