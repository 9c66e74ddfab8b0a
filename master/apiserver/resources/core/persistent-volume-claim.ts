import { persistentVolumeClaims } from "#shared/api/resources.ts";
import { storageClassNameOf } from "#shared/api/storage-class-name.ts";
import type { PersistentVolumeClaim } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, formatAccessModes, nameColumn, wideColumn } from "../columns.ts";
import { status } from "../subresources.ts";
import { keepOldDataSources, validateClaim, validateClaimStatus, validateClaimUpdate } from "./claim-rules.ts";
import { claimWarnings } from "./claim-warnings.ts";
import { defaultClaimSpec } from "./volume-defaults.ts";

export const persistentVolumeClaim: ResourceDeclaration<PersistentVolumeClaim> = {
  ref: persistentVolumeClaims,
  shortNames: ["pvc"],
  subresources: { status },
  columns: [
    nameColumn,
    column("Status", (object) => (object.metadata.deletionTimestamp ? "Terminating" : (object.status?.phase ?? ""))),
    column("Volume", ({ spec }) => spec.volumeName ?? ""),
    column("Capacity", (object) => (object.spec.volumeName ? String(object.status?.capacity?.["storage"] ?? "0") : "")),
    column("Access Modes", (object) => (object.spec.volumeName ? formatAccessModes(object.status?.accessModes) : "")),
    column("StorageClass", storageClassNameOf),
    column("VolumeAttributesClass", ({ spec }) => spec.volumeAttributesClassName ?? "<unset>"),
    ageColumn,
    wideColumn("VolumeMode", ({ spec }) => spec.volumeMode ?? "<unset>"),
  ],
  strategy: {
    judgesNameOnUpdate: true,
    answersDeleteWithObject: true,
    hasStatus: true,
    warnings: claimWarnings,
    applyDefaults(draft) {
      draft.spec ??= {};
      defaultClaimSpec(draft.spec);
      draft.status ??= {};
      draft.status.phase ||= "Pending";
    },
    prepareForCreate(draft) {
      draft.status = { phase: "Pending" };
      keepOldDataSources(draft.spec, undefined);
    },
    prepareForUpdate: (draft, old) => keepOldDataSources(draft.spec, old.spec),
    validate: validateClaim,
    validateUpdate: validateClaimUpdate,
    validateStatusUpdate: validateClaimStatus,
  },
};
