/**
 * What an object of a built-in kind is before anything is set: Go's zero value as its JSON. A create is compared with it, so
 * that structs which are always there are not owned by anyone.
 */
import { type JsonObject, setMember } from "../patch/json-value.ts";
import { zeroValue } from "../schema/built-in.ts";
import type { Schema } from "../schema/schema.ts";

/**
 * An object of a built-in kind with the nulls that Go writes where nothing is set, for lists, maps and times: they count as
 * fields in comparisons. Nothing is copied but what gets some. Elsewhere they are left out, as absent says the same.
 */
export function withNilFields(schema: Schema | undefined, object: JsonObject): JsonObject {
  return schema?.model === undefined ? object : (filled(schema, object) as JsonObject);
}

function filled(schema: Schema, value: unknown): unknown {
  if (!mayLackNils(schema) || value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return schema.items ? changedItems(schema.items, value) : value;
  const { properties, additionalProperties } = schema;
  let copy: JsonObject | undefined;
  const set = (name: string, field: unknown): void => {
    copy ??= { ...(value as JsonObject) };
    setMember(copy, name, field);
  };
  if (additionalProperties && !properties) {
    for (const [name, field] of Object.entries(value)) {
      const next = filled(additionalProperties, field);
      if (next !== field) set(name, next);
    }
  }
  for (const [name, field] of properties ?? []) {
    if (!Object.hasOwn(value, name)) {
      if (isWrittenAsNil(field)) set(name, null);
      continue;
    }
    const given = (value as JsonObject)[name];
    const next = filled(field, given);
    if (next !== given) set(name, next);
  }
  return copy ?? value;
}

function changedItems(items: Schema, values: readonly unknown[]): readonly unknown[] {
  const next = values.map((value) => filled(items, value));
  return next.some((value, index) => value !== values[index]) ? next : values;
}

/** A list, map or pointer without `omitempty`, or a time, which as a struct is never empty to Go. */
function isWrittenAsNil(field: Schema): boolean {
  if (field.presence === "omitZero") return false;
  if (field.pointer) return field.presence === "always";
  if (field.goType === "time" || field.goType === "microTime") return true;
  return field.presence === "always" && field.goType === undefined && field.properties === undefined;
}

const lacking = new WeakMap<Schema, boolean>();

/** Whether anywhere in a type such a field stands. Types that hold themselves count as what is seen of them so far. */
function mayLackNils(schema: Schema): boolean {
  const known = lacking.get(schema);
  if (known !== undefined) return known;
  lacking.set(schema, false);
  const parts = [schema.items, schema.additionalProperties, ...(schema.properties?.values() ?? [])];
  const may =
    [...(schema.properties?.values() ?? [])].some(isWrittenAsNil) ||
    parts.some((part) => part !== undefined && mayLackNils(part));
  lacking.set(schema, may);
  return may;
}

const zeros = new WeakMap<Schema, JsonObject>();

/** The zero object of a kind; an empty one for custom resources. Frozen, and the same one for every call. */
export function zeroObject(schema: Schema | undefined): JsonObject {
  if (schema?.model === undefined) return nothing;
  let zero = zeros.get(schema);
  if (zero === undefined) {
    zero = structZero(schema);
    zeros.set(schema, zero);
  }
  return zero;
}

const nothing: JsonObject = Object.freeze({});

function structZero(schema: Schema): JsonObject {
  const zero: JsonObject = {};
  for (const [name, field] of schema.properties ?? []) {
    if (field.presence === "omitZero") continue;
    const isStruct = field.properties !== undefined && !field.pointer;
    if (isStruct) setMember(zero, name, structZero(field));
    else if (field.presence === "always") setMember(zero, name, zeroValue(field));
  }
  return Object.freeze(zero);
}
