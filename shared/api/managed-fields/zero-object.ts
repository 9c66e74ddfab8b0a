/**
 * What an object of a built-in kind is before anything is set: Go's zero value as its JSON. A create is compared with it, so
 * that structs which are always there are not owned by anyone.
 */
import { type JsonObject, setMember } from "../patch/json-value.ts";
import { zeroValue } from "../schema/built-in.ts";
import type { Schema } from "../schema/schema.ts";

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
