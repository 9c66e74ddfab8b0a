import { deviceClasses, resourceClaims, resourceClaimTemplates, resourceSlices } from "#shared/api/resources.ts";
import type {
  DeviceClaim,
  DeviceClass,
  ResourceClaim,
  ResourceClaimTemplate,
  ResourceSlice,
} from "#shared/api/types/resource-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { dropUnlessUsed } from "../gated-fields.ts";
import { unprintedStatus as status } from "../subresources.ts";
import { isLongName } from "../validation/names.ts";
import { validateClaim, validateClass, validateSameSpec, validateTemplate } from "./claim-rules.ts";
import { prepareClaimStatus, validateClaimStatus } from "./claim-status-rules.ts";
import { applyAllocationDefaults, applyDeviceDefaults, applySliceDefaults } from "./defaults.ts";
import { validateSlice, validateSliceUpdate } from "./slice-rules.ts";
import { betaVersions, claimV1beta1, sliceV1beta1, templateV1beta1 } from "./v1beta1.ts";

const dropExtendedResource = dropUnlessUsed<DeviceClass>(({ spec }) => {
  delete spec.extendedResourceName;
});

const allRequests = ({ requests = [] }: DeviceClaim) =>
  requests.flatMap(({ exactly, firstAvailable = [] }) => [...(exactly ? [exactly] : []), ...firstAvailable]);

const dropGatedDemands = dropUnlessUsed<DeviceClaim>(
  (claim) => {
    for (const request of allRequests(claim)) delete request.tolerations;
  },
  (claim) => {
    for (const constraint of claim.constraints ?? []) delete constraint.distinctAttribute;
    for (const request of allRequests(claim)) delete request.capacity;
  },
);

type DeviceField = keyof NonNullable<ResourceSlice["spec"]["devices"]>[number];

const dropOfDevices =
  (...fields: readonly DeviceField[]) =>
  ({ spec }: ResourceSlice): void => {
    for (const device of spec.devices ?? []) for (const field of fields) delete device[field];
  };

const dropGatedOffers = dropUnlessUsed<ResourceSlice>(
  dropOfDevices("taints"),
  (slice) => {
    delete slice.spec.perDeviceNodeSelection;
    delete slice.spec.sharedCounters;
    dropOfDevices("consumesCounters", "nodeName", "nodeSelector", "allNodes")(slice);
  },
  dropOfDevices("bindsToNode", "bindingConditions", "bindingFailureConditions"),
  (slice) => {
    dropOfDevices("allowMultipleAllocations")(slice);
    for (const { capacity = {} } of slice.spec.devices ?? [])
      for (const each of Object.values(capacity)) delete each.requestPolicy;
  },
);

function claimState({ metadata, status: seen }: ResourceClaim): string {
  const states: string[] = metadata.deletionTimestamp === undefined ? [] : ["deleted"];
  if (seen?.allocation !== undefined) states.push("allocated", ...(seen.reservedFor?.length ? ["reserved"] : []));
  else if (states.length === 0) states.push("pending");
  return states.join(",");
}

export const resourceClaim: ResourceDeclaration<ResourceClaim> = {
  ref: resourceClaims,
  versions: betaVersions("ResourceClaim", claimV1beta1),
  subresources: { status },
  columns: [nameColumn, column("State", claimState), ageColumn],
  strategy: {
    judgesNameOnUpdate: true,
    answersDeleteWithObject: true,
    hasStatus: true,
    statusResets: [["metadata"]],
    applyDefaults(draft) {
      applyDeviceDefaults(draft.spec.devices ?? {});
      applyAllocationDefaults(draft);
    },
    prepareForCreate: ({ spec }) => dropGatedDemands(spec.devices ?? {}),
    prepareForUpdate: ({ spec }, old) => dropGatedDemands(spec.devices ?? {}, old.spec.devices ?? {}),
    validate: validateClaim,
    validateUpdate: validateSameSpec,
    prepareForStatusUpdate: prepareClaimStatus,
    validateStatusUpdate: validateClaimStatus,
  },
};

export const resourceClaimTemplate: ResourceDeclaration<ResourceClaimTemplate> = {
  ref: resourceClaimTemplates,
  versions: betaVersions("ResourceClaimTemplate", templateV1beta1),
  columns: [nameColumn, ageColumn],
  strategy: {
    judgesNameOnUpdate: true,
    answersDeleteWithObject: true,
    applyDefaults: ({ spec }) => applyDeviceDefaults(spec.spec?.devices ?? {}),
    prepareForCreate: ({ spec }) => dropGatedDemands(spec.spec?.devices ?? {}),
    prepareForUpdate: ({ spec }, old) => dropGatedDemands(spec.spec?.devices ?? {}, old.spec.spec?.devices ?? {}),
    validate: validateTemplate,
    validateUpdate: (object, old) => [...validateTemplate(object), ...validateSameSpec(object, old)],
  },
};

export const deviceClass: ResourceDeclaration<DeviceClass> = {
  ref: deviceClasses,
  versions: betaVersions("DeviceClass"),
  columns: [nameColumn, ageColumn],
  strategy: {
    judgesNameOnUpdate: true,
    answersDeleteWithObject: true,
    hasGeneration: true,
    validateName: isLongName,
    ignoresGenerateName: true,
    prepareForCreate: dropExtendedResource,
    prepareForUpdate: dropExtendedResource,
    validate: validateClass,
    validateUpdate: validateClass,
  },
};

export const resourceSlice: ResourceDeclaration<ResourceSlice> = {
  ref: resourceSlices,
  versions: betaVersions("ResourceSlice", sliceV1beta1),
  columns: [
    nameColumn,
    column("Node", ({ spec }) => spec.nodeName ?? ""),
    column("Driver", ({ spec }) => spec.driver),
    column("Pool", ({ spec }) => spec.pool.name),
    ageColumn,
  ],
  refusesNamespaceField: true,
  unknownField: (field, version) =>
    `field label not supported for resource.k8s.io/${version}, Kind=ResourceSlice: ${field}`,
  selectableFields: { "spec.nodeName": ({ spec }) => spec.nodeName ?? "", "spec.driver": ({ spec }) => spec.driver },
  strategy: {
    answersDeleteWithObject: true,
    hasGeneration: true,
    applyDefaults: applySliceDefaults,
    dropDisabled: dropGatedOffers,
    validate: validateSlice,
    validateUpdate: validateSliceUpdate,
  },
};
