/** What a schema may say of the topology of lists and maps: `x-kubernetes-list-type`, its keys, `x-kubernetes-map-type`. */
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import { itemsOf } from "../../extensions/structural-schema.ts";
import type { Field } from "../validation/field.ts";
import type { SchemaLeniency } from "./schema-leniency.ts";

export function checkMapTopology(schema: JSONSchemaProps, field: Field): void {
  const preserve = schema["x-kubernetes-preserve-unknown-fields"];
  if (preserve === false) field.at("x-kubernetes-preserve-unknown-fields").invalid(false, "must be true or undefined");
  const mapType = schema["x-kubernetes-map-type"];
  if (mapType === undefined) return;
  const message = "must be object if x-kubernetes-map-type is specified";
  if (!schema.type) field.at("type").required(message);
  else if (schema.type !== "object") field.at("type").invalid(schema.type, message);
  if (mapType !== "atomic" && mapType !== "granular") {
    field.at("x-kubernetes-map-type").notSupported(mapType, ["atomic", "granular"]);
  }
}

const listTypes = ["atomic", "set", "map"];

export function checkListTopology(schema: JSONSchemaProps, leniency: SchemaLeniency, field: Field): void {
  const listType = schema["x-kubernetes-list-type"];
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  const typeField = field.at("x-kubernetes-list-type");
  const items = itemsOf(schema);
  if (listType !== undefined && schema.type !== "array") {
    const message = "must be array if x-kubernetes-list-type is specified";
    if (!schema.type) field.at("type").required(message);
    else field.at("type").invalid(schema.type, message);
  } else if (listType === "set" && items && !leniency.looseSets) checkSetItems(items, field.at("items"));
  if (listType !== undefined && !listTypes.includes(listType)) typeField.notSupported(listType, listTypes);
  if (keys.length > 0) {
    const message = "must be map if x-kubernetes-list-map-keys is non-empty";
    if (listType === undefined) typeField.required(message);
    else if (listType !== "map") typeField.invalid(listType, message);
  }
  if (listType === "map") checkMapList(schema, items, keys, field);
  if (!leniency.looseMapKeys) checkMapKeys(schema, items, field);
}

export function checkSetItems(items: JSONSchemaProps, field: Field): void {
  const message = "must be atomic as item of a list with x-kubernetes-list-type=set";
  const listType = items["x-kubernetes-list-type"];
  if (items.type === "array" && listType !== undefined && listType !== "atomic") {
    field.at("x-kubernetes-list-type").invalid(listType, message);
  }
  if (items.type === "object" && items["x-kubernetes-map-type"] !== "atomic") {
    field.at("x-kubernetes-map-type").invalid(listType ?? null, message);
  }
}

function checkMapList(
  schema: JSONSchemaProps,
  items: JSONSchemaProps | undefined,
  keys: readonly string[],
  field: Field,
): void {
  const keysField = field.at("x-kubernetes-list-map-keys");
  if (keys.length === 0) keysField.required("must not be empty if x-kubernetes-list-type is map");
  if (!schema.items) field.at("items").required("must have a schema if x-kubernetes-list-type is map");
  else if (!items)
    field.at("items").invalid(schema.items, "must only have a single schema if x-kubernetes-list-type is map");
  if (items && items.type !== "object") {
    field
      .at("items", "type")
      .invalid(items.type ?? "", "must be object if parent array's x-kubernetes-list-type is map");
    return;
  }
  if (!items) return;
  const seen = new Set<string>();
  for (const key of keys) {
    const property = items.properties?.[key];
    if (!property) keysField.invalid(keys, "entries must all be names of item properties");
    else if (property.type === "array" || property.type === "object") {
      const at = field.at("items", "properties").key(key).at("type");
      at.invalid(items.type, "must be a scalar type if parent array's x-kubernetes-list-type is map");
    }
    if (seen.has(key)) keysField.invalid(keys, "must not contain duplicate entries");
    seen.add(key);
  }
}

/** Whether keys of a map list may be left out or null: then elements could not be told apart. */
export function checkMapKeys(schema: JSONSchemaProps, items: JSONSchemaProps | undefined, field: Field): void {
  const listType = schema["x-kubernetes-list-type"];
  if (!items || (listType !== "set" && listType !== "map")) return;
  if (items.nullable) {
    field.at("items", "nullable").forbidden(`cannot be nullable when x-kubernetes-list-type is ${listType}`);
  }
  if (listType !== "map") return;
  for (const key of schema["x-kubernetes-list-map-keys"] ?? []) {
    const property = items.properties?.[key];
    if (!property) continue;
    const at = field.at("items", "properties").key(key);
    if (!items.required?.includes(key) && property.default === undefined) {
      at.at("default").required(
        "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
      );
    }
    if (property.nullable) {
      at.at("nullable").forbidden("this property is in x-kubernetes-list-map-keys, so it cannot be nullable");
    }
  }
}
