/** Defaults of a structural schema, and the nulls that stand for absence (apiextensions' schema/defaulting). */
import { isRawNumber } from "#shared/api/codec/number.ts";
import { cloneJson, isJsonObject, type JsonObject, setMember } from "#shared/api/patch/json-value.ts";
import type { Schema } from "#shared/api/schema/schema.ts";

/** Drops nulls where null is no value and no default takes its place; in place. */
export function dropUnwantedNulls(value: unknown, schema: Schema | undefined): void {
  if (!schema?.structural) return;
  if (Array.isArray(value)) for (const item of value) dropUnwantedNulls(item, schema.items);
  else if (isJsonObject(value)) {
    for (const key of Object.keys(value)) {
      const child = schema.properties?.get(key) ?? schema.additionalProperties;
      if (child?.structural && isUnwantedNull(value[key], child) && child.default === undefined) delete value[key];
      else dropUnwantedNulls(value[key], child);
    }
  }
}

/** Fills in what is missing, or null where null is no value; in place. */
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
  for (const [name, child] of properties ?? []) {
    if (!child.structural || child.default === undefined) continue;
    if (!Object.hasOwn(object, name) || isUnwantedNull(object[name], child)) {
      setMember(object, name, cloneJson(child.default));
    }
  }
  for (const key of Object.keys(object)) {
    const property = properties?.get(key);
    const fallback = property ? undefined : additionalProperties?.default;
    if (fallback !== undefined && additionalProperties && isUnwantedNull(object[key], additionalProperties)) {
      setMember(object, key, cloneJson(fallback));
    }
    applyDefaults(object[key], property ?? additionalProperties);
  }
}

const isUnwantedNull = (value: unknown, schema: Schema): boolean => value === null && !schema.nullable;

/** Whether `dropUnwantedNulls` or `applyDefaults` would change something: what is read again and again need not be copied for nothing. */
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
