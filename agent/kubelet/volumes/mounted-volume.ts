/** A volume of a pod as it stands on the board, for containers to be given. */
export interface MountedVolume {
  readonly path: string;
  /** Whatever a mount asks for. What the kubelet itself keeps writing is never the containers' to change: it would follow
   *  their links out of the volume. */
  readonly readOnly: boolean;
  /** Mounts of the whole volume follow the host's changes only where asked; a hostPath may lie anywhere. */
  readonly kind: "api" | "empty-dir" | "host-path" | "persistent" | "image";
  /** The path is a block device, for `volumeDevices`. */
  readonly block?: boolean;
}
