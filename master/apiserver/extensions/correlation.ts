/** Whether a part of an object is what it was, by its schema (KEP-4008; apiserver's cel/common/equality.go). */
import { equalJson, isJsonObject, member } from "#shared/api/patch/json-value.ts";
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import { itemsOf } from "./structural-schema.ts";

/** An item's identity in a list of maps; undefined for what is no map. */
export function keysOf(item: unknown, keys: readonly string[]): string | undefined {
  return isJsonObject(item) ? JSON.stringify(keys.map((key) => member(item, key) ?? null)) : undefined;
}

/**
 * Items of a list of maps are compared by their keys, in whatever order. An object with a field that the schema does not
 * declare never is what it was: upstream finds no counterpart of such a field.
 */
export function isUnchanged(schema: JSONSchemaProps, value: unknown, old: unknown): boolean {
  if (Array.isArray(value) && Array.isArray(old)) return sameLists(schema, value, old);
  if (!isJsonObject(value) || !isJsonObject(old)) return equalJson(value, old);
  const keys = Object.keys(value);
  if (keys.length !== Object.keys(old).length) return false;
  const { properties = {}, additionalProperties } = schema;
  return keys.every((key) => {
    if (!Object.hasOwn(old, key)) return false;
    const property = Object.hasOwn(properties, key) ? properties[key] : undefined;
    const child = property ?? (typeof additionalProperties === "object" ? additionalProperties : undefined);
    return child !== undefined && isUnchanged(child, member(value, key), member(old, key));
  });
}

function sameLists(schema: JSONSchemaProps, value: readonly unknown[], old: readonly unknown[]): boolean {
  if (value.length !== old.length) return false;
  const items = itemsOf(schema);
  if (schema["x-kubernetes-list-type"] !== "map" || !items) return equalJson(value, old);
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  const before = new Map(old.map((item) => [keysOf(item, keys), item]));
  return value.every((item) => {
    const counterpart = before.get(keysOf(item, keys));
    return counterpart !== undefined && isUnchanged(items, item, counterpart);
  });
}
