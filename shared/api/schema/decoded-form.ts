/** Whether a value of a built-in kind is as Go's types would have it: a look that makes nothing, for values that mostly are. */
import { isRawNumber } from "../codec/number.ts";
import { schemaOfModel, zeroValue } from "./built-in.ts";
import { normalizeObject } from "./normalize-object.ts";
import { canonicalDuration, DecodeError } from "./scalars.ts";
import type { GoType, Schema } from "./schema.ts";

/** Per struct, since its occurrences share their fields: those that are always there. */
const alwaysThere = new WeakMap<ReadonlyMap<string, Schema>, readonly string[]>();
/** Lists, maps and structs that are required, and may yet be missing: Go takes no list for an empty one. A pointer stays nil. */
const required = new WeakMap<ReadonlyMap<string, Schema>, ReadonlyMap<string, Schema>>();
const schemaProps = "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

/**
 * True where decoding into Go's types and encoding again would find no fault and add no field. Fields that are not known
 * do not count. False says only that it must be decoded to know.
 */
export function isDecodedForm(schema: Schema, value: unknown): boolean {
  if (value === null || value === undefined) return false;
  const { goType } = schema;
  if (goType) return isScalar(goType, value);
  const { properties } = schema;
  if (properties) return isStruct(schema, properties, value);
  const { items } = schema;
  if (items) {
    if (!Array.isArray(value)) return false;
    for (let index = 0; index < value.length; index += 1) if (!isDecodedForm(items, value[index])) return false;
    return true;
  }
  const { additionalProperties } = schema;
  if (!additionalProperties) return true;
  if (!isObject(value)) return false;
  for (const key in value) if (!isDecodedForm(additionalProperties, value[key])) return false;
  return true;
}

function isStruct(schema: Schema, properties: ReadonlyMap<string, Schema>, value: unknown): boolean {
  if (!isObject(value)) return false;
  for (const key in value) {
    const property = properties.get(key);
    if (property && !isDecodedForm(property, value[key])) return false;
  }
  let names = alwaysThere.get(properties);
  if (!names) {
    names = [...properties]
      .filter(([, property]) => property.presence === "always" && zeroValue(property) !== null)
      .map(([name]) => name)
      .concat(...requiredIn(schema, properties).keys());
    alwaysThere.set(properties, names);
  }
  for (const name of names) if (value[name] === undefined) return false;
  return true;
}

function requiredIn(schema: Schema, properties: ReadonlyMap<string, Schema>): ReadonlyMap<string, Schema> {
  let found = required.get(properties);
  if (!found) {
    found = new Map(
      (schema.required ?? []).flatMap((name): [string, Schema][] => {
        const property = properties.get(name);
        const isStruct = property?.properties !== undefined && !property.pointer;
        return property && (property.items || property.additionalProperties || isStruct) ? [[name, property]] : [];
      }),
    );
    required.set(properties, found);
  }
  return found;
}

/** Puts empty lists, maps and structs where required ones are missing, in place: who reads an object relies on them. */
export function fillRequired(schema: Schema, value: unknown): void {
  const { properties, items, additionalProperties } = schema;
  if (Array.isArray(value)) {
    if (items) for (const item of value) fillRequired(items, item);
    return;
  }
  if (!isObject(value)) return;
  for (const key in value) {
    const part = properties?.get(key) ?? additionalProperties;
    if (part) fillRequired(part, value[key]);
  }
  if (!properties) return;
  for (const [name, property] of requiredIn(schema, properties)) {
    if (value[name] !== undefined) continue;
    value[name] = property.properties ? normalizeObject(property, {}).object : property.items ? [] : {};
    fillRequired(property, value[name]);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !isRawNumber(value);

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const microTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
/** The usual ones: others are decoded. */
const quantity = /^\d{1,15}(m|k|M|G|Ki|Mi|Gi)?$/;
const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

function isScalar(type: GoType, value: unknown): boolean {
  switch (type) {
    case "string":
      return typeof value === "string";
    case "bool":
      return typeof value === "boolean";
    case "int32":
      return typeof value === "number" && (value | 0) === value;
    case "int64":
      return Number.isSafeInteger(value);
    case "uint32":
      return typeof value === "number" && value >>> 0 === value;
    case "float64":
      return typeof value === "number";
    case "intOrString":
      return typeof value === "string" || (typeof value === "number" && (value | 0) === value);
    case "bytes":
      return typeof value === "string" && value.length % 4 === 0 && base64.test(value);
    case "time":
      return typeof value === "string" && time.test(value) && !Number.isNaN(Date.parse(value));
    case "microTime":
      return typeof value === "string" && microTime.test(value) && !Number.isNaN(Date.parse(value));
    case "quantity":
      return typeof value === "string" && quantity.test(value);
    case "duration":
      return typeof value === "string" && isDuration(value);
    case "schemaOrBool":
    case "schemaOrArray":
    case "schemaOrStrings":
      return !isObject(value) || isDecodedForm(schemaOfModel(schemaProps), value);
    case "rawExtension":
    case "fieldsV1":
    case "json":
      return true;
  }
}

function isDuration(text: string): boolean {
  try {
    return canonicalDuration(text) === text;
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}
