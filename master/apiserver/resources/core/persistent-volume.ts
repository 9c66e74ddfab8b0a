import { persistentVolumes } from "#shared/api/resources.ts";
import { storageClassNameOf } from "#shared/api/storage-class-name.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { PersistentVolume } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, formatAccessModes, nameColumn, wideColumn } from "../columns.ts";
import { status } from "../subresources.ts";
import { validatePersistentVolume, validatePersistentVolumeUpdate } from "./persistent-volume-rules.ts";
import { persistentVolumeWarnings } from "./persistent-volume-warnings.ts";
import { defaultCommonSources } from "./volume-defaults.ts";

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
    column("StorageClass", storageClassNameOf),
    column("VolumeAttributesClass", ({ spec }) => spec.volumeAttributesClassName ?? "<unset>"),
    column("Reason", (object) => object.status?.reason ?? ""),
    ageColumn,
    wideColumn("VolumeMode", ({ spec }) => spec.volumeMode ?? "<unset>"),
  ],
  strategy: {
    judgesNameOnUpdate: true,
    answersDeleteWithObject: true,
    hasStatus: true,
    applyDefaults(draft) {
      draft.spec ??= {};
      draft.spec.persistentVolumeReclaimPolicy ||= "Retain";
      draft.spec.volumeMode ??= "Filesystem";
      draft.status ??= {};
      draft.status.phase ||= "Pending";
      defaultCommonSources(draft.spec);
    },
    prepareForCreate(draft) {
      draft.status = { phase: "Pending", lastPhaseTransitionTime: rfc3339(Date.now()) };
    },
    prepareForStatusUpdate(draft, old) {
      draft.status ??= {};
      const [after, before] = [draft.status, old.status ?? {}];
      const given = after.lastPhaseTransitionTime;
      if (after.phase !== before.phase) {
        if (given === undefined || given === before.lastPhaseTransitionTime)
          after.lastPhaseTransitionTime = rfc3339(Date.now());
      } else if (given === undefined && before.lastPhaseTransitionTime !== undefined) {
        after.lastPhaseTransitionTime = before.lastPhaseTransitionTime;
      }
    },
    warnings: persistentVolumeWarnings,
    validate: validatePersistentVolume,
    validateUpdate: validatePersistentVolumeUpdate,
  },
};
