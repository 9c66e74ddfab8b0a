import { defaultStorageClassAnnotations } from "#shared/api/newest-default.ts";
import {
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  storageClasses,
  volumeAttachments,
  volumeAttributesClasses,
} from "#shared/api/resources.ts";
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from "#shared/api/types/storage-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, booleanColumn, column, createdAtColumn, integerColumn, nameColumn, orNone } from "../columns.ts";
import { status } from "../subresources.ts";
import { oldLabelWarning } from "../validation/warned-values.ts";
import { validateAttachmentUpdate, validateNewAttachment } from "./attachment-rules.ts";
import {
  applyStorageClassDefaults,
  validateAttributesClass,
  validateAttributesClassUpdate,
  validateCapacity,
  validateCapacityUpdate,
  validateStorageClass,
  validateStorageClassUpdate,
} from "./class-rules.ts";
import {
  applyDriverDefaults,
  driverWarnings,
  validateDriver,
  validateDriverUpdate,
  validateNodeDrivers,
  validateNodeDriversUpdate,
} from "./driver-rules.ts";

const isDefault = ({ metadata: { annotations } }: StorageClass): boolean =>
  defaultStorageClassAnnotations.some((key) => annotations?.[key] === "true");

function topologyWarnings({ allowedTopologies = [] }: StorageClass): string[] {
  return allowedTopologies.flatMap(({ matchLabelExpressions = [] }, index) =>
    matchLabelExpressions.flatMap(({ key }, place) => {
      const why = oldLabelWarning(key);
      return why === undefined ? [] : [`allowedTopologies[${index}].matchLabelExpressions[${place}].key: ${why}`];
    }),
  );
}

export const storageClass: ResourceDeclaration<StorageClass> = {
  ref: storageClasses,
  shortNames: ["sc"],
  columns: [
    { ...nameColumn, value: (object) => `${object.metadata.name}${isDefault(object) ? " (default)" : ""}` },
    column("Provisioner", ({ provisioner }) => provisioner),
    column("ReclaimPolicy", ({ reclaimPolicy }) => reclaimPolicy ?? "Delete"),
    column("VolumeBindingMode", ({ volumeBindingMode }) => volumeBindingMode ?? "Immediate"),
    column("AllowVolumeExpansion", ({ allowVolumeExpansion }) => allowVolumeExpansion ?? false),
    ageColumn,
  ],
  strategy: {
    judgesNameOnUpdate: true,
    answersDeleteWithObject: true,
    applyDefaults: applyStorageClassDefaults,
    warnings: topologyWarnings,
    validate: validateStorageClass,
    validateUpdate: validateStorageClassUpdate,
  },
};

export const volumeAttachment: ResourceDeclaration<VolumeAttachment> = {
  ref: volumeAttachments,
  subresources: { status },
  columns: [
    nameColumn,
    column("Attacher", ({ spec }) => spec.attacher, { format: "name" }),
    column("PV", ({ spec }) => spec.source.persistentVolumeName ?? ""),
    column("Node", ({ spec }) => spec.nodeName),
    booleanColumn("Attached", (object) => object.status?.attached ?? false),
    ageColumn,
  ],
  strategy: {
    judgesNameOnUpdate: true,
    answersDeleteWithObject: true,
    hasStatus: true,
    statusResets: [["metadata"]],
    allowUnconditionalUpdate: false,
    validate: validateNewAttachment,
    validateUpdate: validateAttachmentUpdate,
    validateStatusUpdate: validateAttachmentUpdate,
  },
};

export const csiDriver: ResourceDeclaration<CSIDriver> = {
  ref: csiDrivers,
  columns: [
    nameColumn,
    booleanColumn("AttachRequired", ({ spec }) => spec.attachRequired ?? true),
    booleanColumn("PodInfoOnMount", ({ spec }) => spec.podInfoOnMount ?? false),
    booleanColumn("StorageCapacity", ({ spec }) => spec.storageCapacity ?? false),
    column("TokenRequests", ({ spec }) => spec.tokenRequests?.map(({ audience }) => audience).join(",") ?? "<unset>"),
    booleanColumn("RequiresRepublish", ({ spec }) => spec.requiresRepublish ?? false),
    column("Modes", ({ spec }) => orNone(spec.volumeLifecycleModes?.join(","))),
    ageColumn,
  ],
  strategy: {
    answersDeleteWithObject: true,
    hasGeneration: "once changed",
    allowUnconditionalUpdate: false,
    applyDefaults: applyDriverDefaults,
    warnings: driverWarnings,
    validate: validateDriver,
    validateUpdate: validateDriverUpdate,
  },
};

export const csiNode: ResourceDeclaration<CSINode> = {
  ref: csiNodes,
  columns: [nameColumn, integerColumn("Drivers", ({ spec }) => spec.drivers?.length ?? 0), ageColumn],
  strategy: {
    judgesNameOnUpdate: true,
    answersDeleteWithObject: true,
    allowUnconditionalUpdate: false,
    validate: validateNodeDrivers,
    validateUpdate: validateNodeDriversUpdate,
  },
};

export const csiStorageCapacity: ResourceDeclaration<CSIStorageCapacity> = {
  ref: csiStorageCapacities,
  columns: [nameColumn, createdAtColumn],
  strategy: {
    judgesNameOnUpdate: true,
    allowUnconditionalUpdate: false,
    validate: validateCapacity,
    validateUpdate: validateCapacityUpdate,
  },
};

export const volumeAttributesClass: ResourceDeclaration<VolumeAttributesClass> = {
  ref: volumeAttributesClasses,
  shortNames: ["vac"],
  columns: [nameColumn, column("DriverName", ({ driverName }) => driverName), ageColumn],
  strategy: {
    judgesNameOnUpdate: true,
    answersDeleteWithObject: true,
    validate: validateAttributesClass,
    validateUpdate: validateAttributesClassUpdate,
  },
};
