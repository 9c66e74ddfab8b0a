/** The CEL type of values of an OpenAPI schema, as rules of CustomResourceDefinitions see them. */
import type { JSONSchemaProps } from "../api/types/apiextensions-v1.generated.ts";
import { reserved } from "./parser.ts";
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  int,
  listOf,
  mapOf,
  objectOf,
  string,
  type Type,
  timestamp,
} from "./types.ts";

/** Fields with these names are reached by an escaped name. */
const reservedNames = new Set([...reserved, "true", "false", "null"]);

/** How a field's name is written in an expression; undefined where it cannot be. */
export function escapedName(name: string): string | undefined {
  if (reservedNames.has(name)) return `__${name}__`;
  if (!/^[A-Za-z_./-][A-Za-z0-9_./-]*$/.test(name)) return undefined;
  return name
    .replace(/__/g, "__underscores__")
    .replace(/\./g, "__dot__")
    .replace(/-/g, "__dash__")
    .replace(/\//g, "__slash__");
}

/** Names by which expressions reach a field; a reserved word stands for itself too. Empty where it cannot be reached. */
export function fieldNames(name: string): readonly string[] {
  const escaped = escapedName(name);
  if (escaped === undefined) return [];
  return reservedNames.has(name) ? [escaped, name] : [escaped];
}

/** Types of strings of an OpenAPI format; of any other they are strings. */
export const formats: Readonly<Record<string, Type>> = {
  byte: bytes,
  date: timestamp,
  "date-time": timestamp,
  duration,
};

/** undefined: nothing is known, so expressions cannot look at it. `path` names object types: two of one name are the same. */
export function typeOfSchema(schema: JSONSchemaProps, path: string, isResource: boolean): Type | undefined {
  if (schema["x-kubernetes-int-or-string"]) return dyn;
  switch (schema.type) {
    case "string":
      return formats[schema.format ?? ""] ?? string;
    case "boolean":
      return bool;
    case "integer":
      return int;
    case "number":
      return double;
    case "array":
      return listType(schema, path);
    case "object":
      return objectType(schema, path, isResource || schema["x-kubernetes-embedded-resource"] === true);
    default:
      return undefined;
  }
}

function listType(schema: JSONSchemaProps, path: string): Type | undefined {
  const { items } = schema;
  if (!items || Array.isArray(items)) return undefined;
  const element = typeOfSchema(items as JSONSchemaProps, `${path}.@idx`, false);
  if (!element) return undefined;
  const kind = schema["x-kubernetes-list-type"];
  const keys = kind === "set" ? [] : kind === "map" ? schema["x-kubernetes-list-map-keys"] : undefined;
  return keys ? { kind: "list", element, keys } : listOf(element);
}

const metadata = objectOf("metadata", { name: string, generateName: string });

function objectType(schema: JSONSchemaProps, path: string, isResource: boolean): Type | undefined {
  const { properties = {}, additionalProperties } = schema;
  if (typeof additionalProperties === "object") {
    const value = typeOfSchema(additionalProperties, `${path}.@prop`, false);
    return value && mapOf(string, value);
  }
  if (additionalProperties === true && Object.keys(properties).length === 0) return mapOf(string, dyn);
  const fields = new Map<string, Type>();
  const jsonNames = new Map<string, string>();
  for (const [name, property] of Object.entries(properties)) {
    const type = typeOfSchema(property, `${path}.${name}`, false);
    if (!type) continue;
    for (const written of fieldNames(name)) {
      fields.set(written, type);
      if (written !== name) jsonNames.set(written, name);
    }
  }
  if (isResource) fields.set("apiVersion", string).set("kind", string).set("metadata", metadata);
  return { kind: "object", name: path, fields, jsonNames };
}
