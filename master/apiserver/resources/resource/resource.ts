import { deviceClasses, resourceClaims, resourceClaimTemplates, resourceSlices } from "#shared/api/resources.ts";
import type {
  DeviceClass,
  ResourceClaim,
  ResourceClaimTemplate,
  ResourceSlice,
} from "#shared/api/types/resource-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { status } from "../subresources.ts";
import { validateClaim, validateClass, validateSameSpec, validateTemplate } from "./claim-rules.ts";
import { applyDeviceDefaults, applySliceDefaults } from "./defaults.ts";

/** Behind a gate that upstream keeps closed. */
function dropExtendedResource({ spec }: DeviceClass): void {
  delete spec.extendedResourceName;
}

function claimState({ metadata, status: seen }: ResourceClaim): string {
  const states: string[] = metadata.deletionTimestamp === undefined ? [] : ["deleted"];
  if (seen?.allocation !== undefined) states.push("allocated", ...(seen.reservedFor?.length ? ["reserved"] : []));
  else if (states.length === 0) states.push("pending");
  return states.join(",");
}

export const resourceClaim: ResourceDeclaration<ResourceClaim> = {
  ref: resourceClaims,
  subresources: { status },
  columns: [nameColumn, column("State", claimState), ageColumn],
  strategy: {
    answersDeleteWithObject: true,
    hasStatus: true,
    applyDefaults: ({ spec }) => applyDeviceDefaults(spec.devices ?? {}),
    validate: validateClaim,
    validateUpdate: validateSameSpec,
  },
};

export const resourceClaimTemplate: ResourceDeclaration<ResourceClaimTemplate> = {
  ref: resourceClaimTemplates,
  columns: [nameColumn, ageColumn],
  strategy: {
    answersDeleteWithObject: true,
    applyDefaults: ({ spec }) => applyDeviceDefaults(spec.spec?.devices ?? {}),
    validate: validateTemplate,
    validateUpdate: validateSameSpec,
  },
};

export const deviceClass: ResourceDeclaration<DeviceClass> = {
  ref: deviceClasses,
  columns: [nameColumn, ageColumn],
  strategy: {
    answersDeleteWithObject: true,
    hasGeneration: true,
    prepareForCreate: dropExtendedResource,
    prepareForUpdate: dropExtendedResource,
    validate: validateClass,
    validateUpdate: validateClass,
  },
};

export const resourceSlice: ResourceDeclaration<ResourceSlice> = {
  ref: resourceSlices,
  columns: [
    nameColumn,
    column("Node", ({ spec }) => spec.nodeName ?? ""),
    column("Driver", ({ spec }) => spec.driver),
    column("Pool", ({ spec }) => spec.pool.name),
    ageColumn,
  ],
  selectableFields: { "spec.nodeName": ({ spec }) => spec.nodeName ?? "", "spec.driver": ({ spec }) => spec.driver },
  strategy: { answersDeleteWithObject: true, hasGeneration: true, applyDefaults: (slice) => applySliceDefaults(slice) },
};
