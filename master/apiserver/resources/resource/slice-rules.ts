/** ResourceSlices: the devices that a driver offers (pkg/apis/resource/validation). */
import type { FieldError } from "#shared/api/errors.ts";
import type {
  Device,
  DeviceAttribute,
  ResourceSlice,
  ResourceSliceSpec,
} from "#shared/api/types/resource-v1.generated.ts";
import { validateCSIDriverName } from "../core/volume-sources.ts";
import { collect, type Field, immutable } from "../validation/field.ts";
import { isDns1123Label, isDns1123Subdomain } from "../validation/names.ts";
import { validateNodeSelector } from "../validation/selectors.ts";
import { limitedSet, validateAttributeName } from "./claim-rules.ts";

const maxDevices = 128;
const maxAttributesAndCapacities = 32;
const maxAttributeValue_bytes = 64;
const maxPoolName_bytes = 253;
/** A name's domain, a slash and its identifier. */
const maxShownKey = 63 + 1 + 32;

const identifier = "[0-9A-Za-z-]+";
const number = "(0|[1-9]\\d*)";
const preRelease = `(0|[1-9]\\d*|\\d*[A-Za-z-][0-9A-Za-z-]*)`;
const semver = new RegExp(
  `^${number}\\.${number}\\.${number}(-${preRelease}(\\.${preRelease})*)?(\\+${identifier}(\\.${identifier})*)?$`,
);

export const validateSlice = ({ spec }: ResourceSlice): FieldError[] =>
  collect((root) => validateSpec(spec, root.at("spec")));

export function validateSliceUpdate({ spec }: ResourceSlice, { spec: old }: Readonly<ResourceSlice>): FieldError[] {
  return collect((root) => {
    const field = root.at("spec");
    validateSpec(spec, field);
    immutable(spec.pool.name, old.pool.name, field.at("pool", "name"));
    immutable(spec.driver, old.driver, field.at("driver"));
    immutable(spec.nodeName, old.nodeName, field.at("nodeName"));
  });
}

function validateSpec(spec: ResourceSliceSpec, field: Field): void {
  validateCSIDriverName(spec.driver, field.at("driver"));
  const { name, resourceSliceCount, generation } = spec.pool;
  validatePoolName(name, field.at("pool", "name"));
  if (resourceSliceCount <= 0)
    field.at("pool", "resourceSliceCount").invalid(resourceSliceCount, "must be greater than zero");
  if (generation < 0) field.at("pool", "generation").invalid(generation, "must be greater than or equal to zero");
  validateNodes(spec, field);
  if (spec.sharedCounters?.length && spec.devices?.length)
    field.invalid("", "only one of `sharedCounters` or `devices` is allowed");
  limitedSet(spec.devices, maxDevices, field.at("devices"), (device) => device.name, validateDevice);
}

export function validatePoolName(name: string, field: Field): void {
  if (name === "") {
    field.required();
    return;
  }
  if (Buffer.byteLength(name) > maxPoolName_bytes) field.tooLong(maxPoolName_bytes);
  for (const part of name.split("/")) field.invalidEach(part, isDns1123Subdomain(part));
}

/** Which nodes reach the devices is said in exactly one way. */
function validateNodes({ nodeName, nodeSelector, allNodes }: ResourceSliceSpec, field: Field): void {
  const set: string[] = [];
  if (nodeName === "") field.at("nodeName").invalid(nodeName, "must be either unset or set to a non-empty string");
  else if (nodeName !== undefined) {
    set.push("`nodeName`");
    field.at("nodeName").invalidEach(nodeName, isDns1123Subdomain(nodeName));
  }
  if (nodeSelector) {
    set.push("`nodeSelector`");
    validateNodeSelector(nodeSelector, field.at("nodeSelector"));
    const terms = nodeSelector.nodeSelectorTerms;
    if (terms?.length !== 1)
      field.at("nodeSelector", "nodeSelectorTerms").invalid(terms, "must have exactly one node selector term");
  }
  if (allNodes) set.push("`allNodes`");
  else if (allNodes === false) field.at("allNodes").invalid(false, "must be either unset or set to true");
  const which = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
  if (set.length === 0) field.required(which);
  else if (set.length > 1) field.invalid(`{${set.join(", ")}}`, `${which}, but multiple fields are set`);
}

function validateDevice({ name, attributes = {}, capacity = {} }: Device, field: Field): void {
  field.at("name").invalidEach(name, isDns1123Label(name));
  const count = Object.keys(attributes).length + Object.keys(capacity).length;
  if (count > maxAttributesAndCapacities) {
    field.invalid(count, `the total number of attributes and capacities must not exceed ${maxAttributesAndCapacities}`);
  }
  for (const [key, attribute] of Object.entries(attributes)) {
    const at = field.at("attributes").key(shortened(key));
    validateAttributeName(key, at);
    validateAttribute(attribute, at);
  }
  for (const key of Object.keys(capacity)) validateAttributeName(key, field.at("capacity").key(shortened(key)));
}

function validateAttribute(attribute: DeviceAttribute, field: Field): void {
  const { int, bool, string, version } = attribute;
  if (string !== undefined) validateLength(string, field.at("string"));
  if (version !== undefined) {
    const at = field.at("version");
    if (!semver.test(version)) at.invalid(version, "must be a string compatible with semver.org spec 2.0.0");
    validateLength(version, at);
  }
  const values = [int, bool, string, version].filter((value) => value !== undefined);
  if (values.length === 1) return;
  const shown = {
    IntValue: int ?? null,
    BoolValue: bool ?? null,
    StringValue: string ?? null,
    VersionValue: version ?? null,
  };
  field.invalid(values.length === 0 ? "" : shown, "exactly one value must be specified");
}

function validateLength(value: string, field: Field): void {
  if (Buffer.byteLength(value) > maxAttributeValue_bytes) field.tooLong(maxAttributeValue_bytes);
}

/** A key in the path of an error, without its middle where it is too long. */
function shortened(key: string): string {
  if (key.length <= maxShownKey) return key;
  const kept = maxShownKey - "...".length;
  return `${key.slice(0, Math.ceil(kept / 2))}...${key.slice(key.length - Math.floor(kept / 2))}`;
}
