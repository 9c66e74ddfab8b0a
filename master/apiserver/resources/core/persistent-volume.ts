import { persistentVolumes } from "#shared/api/resources.ts";
import type { PersistentVolume } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, formatAccessModes, nameColumn, wideColumn } from "../columns.ts";
import { status } from "../subresources.ts";

/** Before storageClassName there was this annotation; it still wins where it is set. */
const classAnnotation = "volume.beta.kubernetes.io/storage-class";

export const persistentVolume: ResourceDeclaration<PersistentVolume> = {
  ref: persistentVolumes,
  shortNames: ["pv"],
  subresources: { status },
  columns: [
    nameColumn,
    column("Capacity", ({ spec }) => String(spec.capacity?.["storage"] ?? "0")),
    column("Access Modes", ({ spec }) => formatAccessModes(spec.accessModes)),
    column("Reclaim Policy", ({ spec }) => spec.persistentVolumeReclaimPolicy ?? ""),
    column("Status", (object) => (object.metadata.deletionTimestamp ? "Terminating" : (object.status?.phase ?? ""))),
    column("Claim", ({ spec: { claimRef } }) => (claimRef ? `${claimRef.namespace ?? ""}/${claimRef.name ?? ""}` : "")),
    column(
      "StorageClass",
      ({ metadata, spec }) => metadata.annotations?.[classAnnotation] ?? spec.storageClassName ?? "",
    ),
    column("VolumeAttributesClass", ({ spec }) => spec.volumeAttributesClassName ?? "<unset>"),
    column("Reason", (object) => object.status?.reason ?? ""),
    ageColumn,
    wideColumn("VolumeMode", ({ spec }) => spec.volumeMode ?? "<unset>"),
  ],
  strategy: { hasStatus: true },
};
