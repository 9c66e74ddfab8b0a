import type { FieldError } from "#shared/api/errors.ts";
import { parseQuantity } from "#shared/api/quantity.ts";
import type { TopologySelectorTerm } from "#shared/api/types/core-v1.generated.ts";
import type {
  CSIStorageCapacity,
  StorageClass,
  VolumeAttributesClass,
} from "#shared/api/types/storage-v1.generated.ts";
import { collect, each, type Field, immutable, immutableMessage, oneOf, semanticEqual } from "../validation/field.ts";
import { isDns1123Subdomain, isQualifiedName } from "../validation/names.ts";
import { validateLabelName } from "../validation/object-meta.ts";
import { isNegative } from "../validation/quantities.ts";
import { validateLabelSelector } from "../validation/selectors.ts";

const maxParameters = 512;
const maxParameters_bytes = 256 * 1024;

export function applyStorageClassDefaults(draft: StorageClass): void {
  draft.reclaimPolicy ??= "Delete";
  draft.volumeBindingMode ??= "Immediate";
}

export const validateStorageClass = (object: StorageClass): FieldError[] =>
  collect((root) => {
    validateProvisioner(object.provisioner, root.at("provisioner"));
    validateParameters(object.parameters ?? {}, root.at("parameters"));
    const { reclaimPolicy, volumeBindingMode: mode, allowedTopologies = [] } = object;
    if (reclaimPolicy) oneOf(reclaimPolicy, ["Delete", "Retain"], root.at("reclaimPolicy"));
    if (mode === undefined) root.at("volumeBindingMode").required();
    else oneOf(mode, ["Immediate", "WaitForFirstConsumer"], root.at("volumeBindingMode"));
    validateTopologies(allowedTopologies, root.at("allowedTopologies"));
  });

export const validateStorageClassUpdate = (object: StorageClass, old: Readonly<StorageClass>): FieldError[] => [
  ...validateStorageClass(object),
  ...collect((root) => {
    for (const name of ["parameters", "provisioner", "reclaimPolicy"] as const)
      if (!semanticEqual(object[name], old[name])) root.at(name).forbidden(`updates to ${name} are forbidden.`);
    immutable(object.volumeBindingMode, old.volumeBindingMode, root.at("volumeBindingMode"));
  }),
];

export const validateAttributesClass = ({ driverName, parameters = {} }: VolumeAttributesClass): FieldError[] =>
  collect((root) => {
    validateProvisioner(driverName, root.at("driverName"));
    validateParameters(parameters, root.at("parameters"));
    if (Object.keys(parameters).length === 0)
      root.at("parameters").required("must contain at least one key/value pair");
  });

export const validateAttributesClassUpdate = (
  object: VolumeAttributesClass,
  old: Readonly<VolumeAttributesClass>,
): FieldError[] => [
  ...collect((root) => {
    for (const name of ["driverName", "parameters"] as const)
      if (!semanticEqual(object[name], old[name])) root.at(name).forbidden(`updates to ${name} are forbidden.`);
  }),
  ...validateAttributesClass(object),
];

export const validateCapacity = ({ nodeTopology, storageClassName, capacity }: CSIStorageCapacity): FieldError[] =>
  collect((root) => {
    validateLabelSelector(nodeTopology, root.at("nodeTopology"));
    root.at("storageClassName").invalidEach(storageClassName, isDns1123Subdomain(storageClassName));
    if (capacity !== undefined && isNegative(parseQuantity(capacity)))
      root.at("capacity").invalid(String(capacity), "must be greater than or equal to 0");
  });

export const validateCapacityUpdate = (object: CSIStorageCapacity, old: Readonly<CSIStorageCapacity>): FieldError[] => [
  ...validateCapacity(object),
  ...collect((root) => {
    for (const name of ["nodeTopology", "storageClassName"] as const)
      if (!semanticEqual(object[name], old[name])) root.at(name).invalid(object[name], immutableMessage);
  }),
];

function validateProvisioner(name: string, field: Field): void {
  if (!name) field.required();
  else field.invalidEach(name.toLowerCase(), isQualifiedName(name.toLowerCase()));
}

function validateParameters(parameters: Readonly<Record<string, string>>, field: Field): void {
  const entries = Object.entries(parameters);
  if (entries.length > maxParameters) {
    field.tooLong(maxParameters);
    return;
  }
  if ("" in parameters) field.invalid("", "field can not be empty.");
  const size_bytes = entries.reduce((sum, pair) => sum + Buffer.byteLength(pair.join("")), 0);
  if (size_bytes > maxParameters_bytes) field.tooLong(maxParameters_bytes);
}

function validateTopologies(topologies: readonly TopologySelectorTerm[], field: Field): void {
  const seen = new Set<string>();
  each(topologies, field, (term, at) => {
    const values = new Map<string, string[]>();
    each(term.matchLabelExpressions, at.at("matchLabelExpressions"), ({ key, values: given = [] }, place) => {
      validateTopologyValues(given, place.at("values"));
      validateLabelName(key, place.at("key"));
      if (values.has(key)) place.at("key").duplicate(key);
      values.set(key, [...new Set(given)].sort());
    });
    const shown = JSON.stringify([...values].sort(([a], [b]) => (a < b ? -1 : 1)));
    // Upstream takes a term without expressions for a repetition, whatever else there is.
    if (seen.has(shown) || values.size === 0) at.at("matchLabelExpressions").duplicate("");
    seen.add(shown);
  });
}

function validateTopologyValues(values: readonly string[], field: Field): void {
  if (values.length === 0) field.required();
  const seen = new Set<string>();
  each(values, field, (value, at) => {
    if (seen.has(value)) at.duplicate(value);
    seen.add(value);
  });
}
