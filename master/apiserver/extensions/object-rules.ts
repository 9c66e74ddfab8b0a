/** What OpenAPI does not say of a custom resource: uniqueness in sets and maps, embedded objects, the scale's numbers. */
import { integerOf } from "#shared/api/codec/number.ts";
import { fieldsOf, type KubeObject } from "#shared/api/object.ts";
import { inKeyOrder, isJsonObject, type JsonObject, member } from "#shared/api/patch/json-value.ts";
import { goPrint } from "#shared/api/patch/strategic-list.ts";
import type { Schema } from "#shared/api/schema/schema.ts";
import type { CustomResourceSubresourceScale } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { ObjectMeta } from "#shared/api/types/meta-v1.generated.ts";
import type { Field } from "../resources/validation/field.ts";
import { isDns1035Label } from "../resources/validation/names.ts";
import { validateCommonMeta } from "../resources/validation/object-meta.ts";

/** Duplicates in lists of type set and map. */
export function checkLists(value: unknown, schema: Schema | undefined, field: Field): void {
  if (!schema?.structural) return;
  if (Array.isArray(value)) {
    if (schema.listType === "set")
      for (const index of repeated(value)) field.index(index).duplicate(inKeyOrder(value[index]));
    if (schema.listType === "map") checkMapList(value, schema.listMapKeys ?? [], field);
    for (const [index, item] of value.entries()) checkLists(item, schema.items, field.index(index));
    return;
  }
  if (!isJsonObject(value)) return;
  for (const key of Object.keys(value)) {
    const property = schema.properties?.get(key);
    if (property) checkLists(member(value, key), property, field.at(key));
    else checkLists(member(value, key), schema.additionalProperties, field.key(key));
  }
}

/** Where a value stands that stood before: the second one of each, as upstream reports them. */
function repeated(values: readonly unknown[]): number[] {
  const times = new Map<string, number>();
  const indexes: number[] = [];
  for (const [index, value] of values.entries()) {
    const text = JSON.stringify(value) ?? "";
    const seen = times.get(text) ?? 0;
    times.set(text, seen + 1);
    if (seen === 1) indexes.push(index);
  }
  return indexes;
}

function checkMapList(items: readonly unknown[], keys: readonly string[], field: Field): void {
  for (const [index, item] of items.entries()) {
    if (item === null || isJsonObject(item)) continue;
    field.index(index).invalid(inKeyOrder(item), "must be an object for an array of list-type map");
    return;
  }
  const keyed = items.map((item) => {
    const key: JsonObject = {};
    for (const name of keys) {
      const value = isJsonObject(item) ? member(item, name) : undefined;
      if (value !== undefined) key[name] = value;
    }
    return key;
  });
  for (const index of repeated(keyed)) field.index(index).duplicate(inKeyOrder(keyed[index]));
}

/** Objects within the object have a kind, a version and sound metadata of their own. */
export function checkEmbedded(value: unknown, schema: Schema | undefined, field: Field): void {
  if (!schema?.structural) return;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) checkEmbedded(item, schema.items, field.index(index));
    return;
  }
  if (!isJsonObject(value)) return;
  if (schema.embeddedResource) checkEmbeddedObject(value, field);
  for (const key of Object.keys(value)) {
    const property = schema.properties?.get(key);
    if (property) checkEmbedded(member(value, key), property, field.at(key));
    else checkEmbedded(member(value, key), schema.additionalProperties, field.key(key));
  }
}

function checkEmbeddedObject(object: JsonObject, field: Field): void {
  const { apiVersion, kind, metadata } = object;
  checkText(apiVersion, field.at("apiVersion"), (text) => {
    if (text.split("/").length > 2) field.at("apiVersion").invalid(text, `unexpected GroupVersion string: ${text}`);
  });
  checkText(kind, field.at("kind"), (text) => {
    const problems = isDns1035Label(text.toLowerCase());
    if (problems.length > 0) {
      field.at("kind").invalid(text, `may have mixed case, but should otherwise match: ${problems.join(",")}`);
    }
  });
  if (!isJsonObject(metadata)) {
    if (metadata !== undefined) field.at("metadata").invalid(inKeyOrder(metadata), "must be an object");
    return;
  }
  const named = { ...metadata, name: metadata["name"] || "fakename" } as ObjectMeta;
  const namespaced = typeof metadata["namespace"] === "string" && metadata["namespace"] !== "";
  const errors = validateCommonMeta(named, { namespaced });
  field.addAll(errors.map((error) => ({ ...error, field: `${field.path}.${error.field}` })));
}

function checkText(value: unknown, field: Field, more: (text: string) => void): void {
  if (value === undefined) field.required();
  else if (typeof value !== "string") field.invalid(inKeyOrder(value), "must be a string");
  else if (value === "") field.invalid(value, "must not be empty");
  else more(value);
}

const MAX_REPLICAS = 2_147_483_647;

/** The numbers and the selector that the scale subresource stands on. `part` says which of them a write may set. */
export function checkScale(
  object: KubeObject,
  scale: CustomResourceSubresourceScale | undefined,
  root: Field,
  part: "all" | "status",
): void {
  if (!scale) return;
  if (part === "all") checkReplicas(object, scale.specReplicasPath ?? "", root);
  checkReplicas(object, scale.statusReplicasPath ?? "", root);
  const { labelSelectorPath } = scale;
  if (!labelSelectorPath) return;
  const { found, fault } = valueAt(object, labelSelectorPath);
  if (fault !== undefined) root.at(labelSelectorPath).invalid("", fault);
  else if (found !== undefined && typeof found !== "string") {
    root.at(labelSelectorPath).invalid("", accessorFault(labelSelectorPath, found, "string"));
  }
}

function checkReplicas(object: KubeObject, path: string, root: Field): void {
  const { found, fault } = valueAt(object, path);
  const field = root.at(path);
  const replicas = integerOf(found);
  if (fault !== undefined) field.invalid(0, fault);
  else if (found === undefined) return;
  else if (replicas === undefined) field.invalid(0, accessorFault(path, found, "int64"));
  else if (replicas < 0n) field.invalid(found, "should be a non-negative integer");
  else if (replicas > MAX_REPLICAS) field.invalid(found, `should be less than or equal to ${MAX_REPLICAS}`);
}

/** As Go names what JSON decodes to. */
function goTypeOf(value: unknown): string {
  if (value === null) return "<nil>";
  if (Array.isArray(value)) return "[]interface {}";
  if (isJsonObject(value)) return "map[string]interface {}";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  return integerOf(value) === undefined ? "float64" : "int64";
}

function accessorFault(path: string, value: unknown, wanted: string): string {
  return `${path} accessor error: ${goPrint(value)} is of the type ${goTypeOf(value)}, expected ${wanted}`;
}

/** The value at a path of fields; a fault where the way there is no object. */
function valueAt(object: KubeObject, path: string): { readonly found?: unknown; readonly fault?: string } {
  let value: unknown = fieldsOf(object);
  for (const name of path.replace(/^\./, "").split(".")) {
    if (value === undefined) return {};
    if (!isJsonObject(value)) return { fault: accessorFault(path, value, "map[string]interface{}") };
    value = member(value, name);
  }
  return { found: value };
}
