/** Defaults of a structural schema, and the nulls that stand for absence (apiextensions' schema/defaulting). */
import { isRawNumber } from "#shared/api/codec/number.ts";
import { cloneJson, isJsonObject, type JsonObject, setMember } from "#shared/api/patch/json-value.ts";
import type { Schema } from "#shared/api/schema/schema.ts";

/** Fills in what is missing and drops nulls where null is no value, in place. */
export function applyDefaults(value: unknown, schema: Schema | undefined): void {
  if (!schema?.structural) return;
  if (Array.isArray(value)) defaultItems(value, schema.items);
  else if (isJsonObject(value)) defaultFields(value, schema);
}

function defaultItems(items: unknown[], schema: Schema | undefined): void {
  if (!schema) return;
  for (const [index, item] of items.entries()) {
    if (isUnwantedNull(item, schema) && schema.default !== undefined) items[index] = cloneJson(schema.default);
    applyDefaults(items[index], schema);
  }
}

function defaultFields(object: JsonObject, schema: Schema): void {
  const { properties, additionalProperties } = schema;
  for (const key of Object.keys(object)) {
    const child = properties?.get(key) ?? additionalProperties;
    if (child?.structural && isUnwantedNull(object[key], child) && child.default === undefined) delete object[key];
  }
  for (const [name, child] of properties ?? []) {
    if (!child.structural || child.default === undefined) continue;
    if (!Object.hasOwn(object, name) || isUnwantedNull(object[name], child)) {
      setMember(object, name, cloneJson(child.default));
    }
  }
  for (const key of Object.keys(object)) {
    const property = properties?.get(key);
    if (!property && additionalProperties && isUnwantedNull(object[key], additionalProperties)) {
      setMember(object, key, cloneJson(additionalProperties.default));
    }
    applyDefaults(object[key], property ?? additionalProperties);
  }
}

const isUnwantedNull = (value: unknown, schema: Schema): boolean => value === null && !schema.nullable;

/** Whether `applyDefaults` would change something: what is read again and again need not be copied for nothing. */
export function lacksDefaults(value: unknown, schema: Schema | undefined): boolean {
  if (!schema?.structural || typeof value !== "object" || value === null || isRawNumber(value)) return false;
  if (Array.isArray(value)) {
    const { items } = schema;
    return items !== undefined && value.some((item) => isUnwantedNull(item, items) || lacksDefaults(item, items));
  }
  const object = value as JsonObject;
  for (const [name, child] of schema.properties ?? []) {
    if (child.structural && child.default !== undefined && !Object.hasOwn(object, name)) return true;
  }
  return Object.keys(object).some((key) => {
    const child = schema.properties?.get(key) ?? schema.additionalProperties;
    return child?.structural === true && (isUnwantedNull(object[key], child) || lacksDefaults(object[key], child));
  });
}
