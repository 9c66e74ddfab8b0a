/** Defaults of volume sources, shared by pods and PersistentVolumes (pkg/apis/core/v1/defaults.go). */
import type {
  AzureDiskVolumeSource,
  DownwardAPIVolumeFile,
  PersistentVolumeClaimSpec,
  PersistentVolumeSpec,
  Volume,
} from "#shared/api/types/core-v1.generated.ts";

const fileMode = 0o644;

const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const host =
  "(?:[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?";
/** What Docker's own grammar takes for a reference; of anything else no tag is known. */
const imageReference = new RegExp(
  `^(?:${host}/)?${component}(?:/${component})*(?::[\\w][\\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$`,
);
const maxImage_bytes = 255;

/** Always for `:latest` and for no tag, as people expect that to move; a digest never moves. */
export function defaultPullPolicy(image: string | undefined): string {
  const name = image ?? "";
  if (!imageReference.test(name) || name.length > maxImage_bytes) return "IfNotPresent";
  const [beforeDigest = ""] = name.split("@");
  const lastPart = beforeDigest.slice(beforeDigest.lastIndexOf("/") + 1);
  const colon = lastPart.indexOf(":");
  const tag = colon < 0 ? "" : lastPart.slice(colon + 1);
  return name !== "" && (tag === "latest" || (tag === "" && !name.includes("@"))) ? "Always" : "IfNotPresent";
}

export function defaultClaimSpec(spec: PersistentVolumeClaimSpec): void {
  spec.volumeMode ??= "Filesystem";
}

function defaultAzureDisk(disk: AzureDiskVolumeSource): void {
  disk.cachingMode ??= "ReadWrite";
  disk.fsType ??= "ext4";
  disk.readOnly ??= false;
  disk.kind ??= "Shared";
}

/** What pods' volumes and PersistentVolumes have in common. */
export function defaultCommonSources(
  volume: Pick<Volume & PersistentVolumeSpec, "hostPath" | "iscsi" | "rbd" | "azureDisk" | "scaleIO">,
): void {
  if (volume.hostPath) volume.hostPath.type ??= "";
  if (volume.iscsi) volume.iscsi.iscsiInterface ||= "default";
  if (volume.rbd) {
    volume.rbd.pool ||= "rbd";
    volume.rbd.user ||= "admin";
    volume.rbd.keyring ||= "/etc/ceph/keyring";
  }
  if (volume.azureDisk) defaultAzureDisk(volume.azureDisk);
  if (volume.scaleIO) {
    volume.scaleIO.storageMode ||= "ThinProvisioned";
    volume.scaleIO.fsType ||= "xfs";
  }
}

function defaultFieldRefs(files: readonly DownwardAPIVolumeFile[] | undefined): void {
  for (const { fieldRef } of files ?? []) if (fieldRef) fieldRef.apiVersion ||= "v1";
}

export function defaultVolume(volume: Volume): void {
  const { name: _, ...sources } = volume;
  if (Object.values(sources).every((source) => source === undefined)) volume.emptyDir = {};
  defaultCommonSources(volume);
  if (volume.secret) volume.secret.defaultMode ??= fileMode;
  if (volume.configMap) volume.configMap.defaultMode ??= fileMode;
  if (volume.downwardAPI) {
    volume.downwardAPI.defaultMode ??= fileMode;
    defaultFieldRefs(volume.downwardAPI.items);
  }
  if (volume.projected) {
    volume.projected.defaultMode ??= fileMode;
    for (const { downwardAPI, serviceAccountToken } of volume.projected.sources ?? []) {
      defaultFieldRefs(downwardAPI?.items);
      if (serviceAccountToken) serviceAccountToken.expirationSeconds ??= 3600;
    }
  }
  if (volume.ephemeral?.volumeClaimTemplate?.spec) defaultClaimSpec(volume.ephemeral.volumeClaimTemplate.spec);
  if (volume.image) volume.image.pullPolicy ||= defaultPullPolicy(volume.image.reference);
}
