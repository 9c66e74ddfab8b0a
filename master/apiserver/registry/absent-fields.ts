import { isJsonObject, type JsonObject } from "#shared/api/patch/json-value.ts";
import type { Schema } from "#shared/api/schema/schema.ts";

/**
 * Takes away, in place, the nulls that Go's encoder writes for nil lists and maps of typed kinds: absent says the same
 * to every client, and code here need not tell the two apart. Bytes that are null in a map are there, and none: a Secret's key
 * stays. Free-form parts, where null is a value, stay as they are.
 */
export function dropNilFields(schema: Schema, value: unknown): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items && mayHoldFields(items)) for (const item of value) dropNilFields(items, item);
    return;
  }
  if (!isJsonObject(value)) return;
  const { properties, additionalProperties } = schema;
  if (properties) {
    for (const key in value) {
      const property = properties.get(key);
      if (!property) continue;
      const field = value[key];
      if (field === null) delete value[key];
      else if (mayHoldFields(property)) dropNilFields(property, field);
    }
  } else if (additionalProperties) dropNilInMap(additionalProperties, value);
}

function dropNilInMap(element: Schema, map: JsonObject): void {
  if (element.goType === "bytes") {
    for (const key in map) if (map[key] === null) map[key] = "";
  } else if (mayHoldFields(element)) {
    for (const key in map) dropNilFields(element, map[key]);
  }
}

/**
 * Takes away, in place, empty lists of typed kinds: at rest Go does not tell them from nil ones either. Those that every
 * object has stay: Go writes null there, and a client that is not Go's reads a list.
 */
export function dropEmptyLists(schema: Schema, value: unknown): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items && mayHoldFields(items)) for (const item of value) dropEmptyLists(items, item);
    return;
  }
  if (!isJsonObject(value)) return;
  const { properties, additionalProperties } = schema;
  if (!properties && !(additionalProperties && mayHoldFields(additionalProperties))) return;
  for (const key in value) {
    const part = properties ? properties.get(key) : additionalProperties;
    if (!part || !mayHoldFields(part)) continue;
    const field = value[key];
    if (properties && Array.isArray(field) && field.length === 0) {
      if (part.presence !== "always") delete value[key];
    } else dropEmptyLists(part, field);
  }
}

const mayHoldFields = (schema: Schema): boolean =>
  schema.goType === undefined && (schema.type === "object" || schema.type === "array");
