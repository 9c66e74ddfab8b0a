/**
 * resource.k8s.io/v1beta1: what a request asks for exactly stands in the request itself, and what a device has in `basic`
 * (pkg/apis/resource/v1beta1/conversion.go). v1beta2 has the structure of v1.
 */
import type { KubeObject } from "#shared/api/object.ts";
import { cloneJson } from "#shared/api/patch/json-value.ts";
import type {
  Device,
  DeviceClaim,
  DeviceRequest,
  ExactDeviceRequest,
  ResourceClaim,
  ResourceClaimTemplate,
  ResourceSlice,
} from "#shared/api/types/resource-v1.generated.ts";
import type {
  DeviceClaim as BetaClaim,
  Device as BetaDevice,
  DeviceRequest as BetaRequest,
  ResourceSlice as BetaSlice,
} from "#shared/api/types/resource-v1beta1.generated.ts";
import type { ServedVersion } from "../../registry/declaration.ts";

const v1 = "resource.k8s.io/v1";
const v1beta1 = "resource.k8s.io/v1beta1";

function requestToBeta({ name, exactly, firstAvailable }: DeviceRequest): BetaRequest {
  return { name, deviceClassName: "", ...exactly, ...(firstAvailable && { firstAvailable }) };
}

/** Where nothing is asked for exactly, not even wrongly, there is nothing to be asked so. */
function requestFromBeta({ name, firstAvailable, ...exactly }: BetaRequest): DeviceRequest {
  const { deviceClassName, count, allocationMode, ...others } = exactly;
  const isAsked =
    !!deviceClassName || !!count || !!allocationMode || Object.values(others).some((value) => value != null);
  return {
    name,
    ...(isAsked && { exactly: exactly as ExactDeviceRequest }),
    ...(firstAvailable && { firstAvailable }),
  };
}

const isFilled = (value: unknown): boolean =>
  value !== null && typeof value === "object" && !Array.isArray(value) ? Object.keys(value).length > 0 : true;

/** Maps of nothing are none. */
const withoutEmptyMaps = <T extends object>(fields: T, names: readonly string[]): T =>
  Object.fromEntries(Object.entries(fields).filter(([name, value]) => !names.includes(name) || isFilled(value))) as T;

const deviceMaps = ["attributes", "capacity"];

const deviceToBeta = ({ name, ...basic }: Device): BetaDevice => ({ name, basic: withoutEmptyMaps(basic, deviceMaps) });

const deviceFromBeta = ({ name, basic }: BetaDevice): Device => ({
  name,
  ...withoutEmptyMaps(basic ?? {}, deviceMaps),
});

/** Changes a claim that is the caller's own. */
function claimRequests<From, To>(
  claim: { requests?: readonly From[] | undefined } | undefined,
  convert: (request: From) => To,
): void {
  if (claim?.requests) (claim as { requests: readonly unknown[] }).requests = claim.requests.map(convert);
}

type Conversion = NonNullable<ServedVersion["convert"]>;

/** @param change of an object's own copy. */
const conversion = (changes: {
  readonly fromStored: (draft: KubeObject) => void;
  readonly toStored: (draft: KubeObject) => void;
}): Conversion => ({
  fromStored(object) {
    const draft = cloneJson(object) as KubeObject;
    changes.fromStored(draft);
    draft.apiVersion = v1beta1;
    return draft;
  },
  toStored(object) {
    changes.toStored(object);
    object.apiVersion = v1;
    return object;
  },
});

const claimOf = (claim: KubeObject): DeviceClaim | undefined => (claim as ResourceClaim).spec?.devices;
const templateClaimOf = (template: KubeObject): DeviceClaim | undefined =>
  (template as ResourceClaimTemplate).spec?.spec?.devices;

const claimConversion = (find: (object: KubeObject) => DeviceClaim | undefined): Conversion =>
  conversion({
    fromStored: (draft) => claimRequests(find(draft), requestToBeta),
    toStored: (draft) => claimRequests(find(draft) as BetaClaim | undefined, requestFromBeta),
  });

export const claimV1beta1 = claimConversion(claimOf);
export const templateV1beta1 = claimConversion(templateClaimOf);

export const sliceV1beta1 = conversion({
  fromStored(draft) {
    const { spec } = draft as ResourceSlice;
    if (spec?.devices) (spec as BetaSlice["spec"]).devices = spec.devices.map(deviceToBeta);
    // No pointers there: what is false or empty is not there.
    if (spec && !spec.allNodes) delete spec.allNodes;
    if (spec && !spec.nodeName) delete spec.nodeName;
  },
  toStored(draft) {
    const { spec } = draft as BetaSlice;
    if (spec?.devices) (spec as ResourceSlice["spec"]).devices = spec.devices.map(deviceFromBeta);
    if (spec && !spec.allNodes) delete spec.allNodes;
    if (spec && !spec.nodeName) delete spec.nodeName;
  },
});

/** Both beta versions of a kind, off unless a setting serves them. */
export const betaVersions = (kind: string, convert?: Conversion): readonly ServedVersion[] => [
  { version: "v1beta2", served: false },
  {
    version: "v1beta1",
    served: false,
    deprecationWarning: `${v1beta1} ${kind} is deprecated in v1.35+, unavailable in v1.38+`,
    removedRelease: "1.38",
    ...(convert && { convert }),
  },
];
