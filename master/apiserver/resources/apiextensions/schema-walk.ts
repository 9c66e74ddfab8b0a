import type { CustomResourceDefinitionSpec, JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import { isKnownFormat } from "../../extensions/formats.ts";
import { itemsOf } from "../../extensions/structural-schema.ts";
import type { Field } from "../validation/field.ts";

/** Fields that a resource has by itself: a schema says less of them than of others. */
export const metaFields: readonly string[] = ["metadata", "kind", "apiVersion"];

/** Calls `see` with every schema inside one, itself included. */
export function visit(schema: JSONSchemaProps | undefined, see: (schema: JSONSchemaProps) => void): void {
  if (!schema) return;
  see(schema);
  for (const [, child] of childrenOf(schema)) visit(child, see);
}

/** Schemas directly inside one, with their steps in a path. */
export function childrenOf(schema: JSONSchemaProps): [(at: Field) => Field, JSONSchemaProps][] {
  const children: [(at: Field) => Field, JSONSchemaProps][] = [];
  const { properties = {}, additionalProperties, not } = schema;
  for (const [name, each] of Object.entries(properties)) children.push([(at) => at.at("properties").key(name), each]);
  if (typeof additionalProperties === "object")
    children.push([(at) => at.at("additionalProperties"), additionalProperties]);
  const items = itemsOf(schema);
  if (items) children.push([(at) => at.at("items"), items]);
  for (const name of ["allOf", "oneOf", "anyOf"] as const) {
    for (const [index, each] of (schema[name] ?? []).entries()) children.push([(at) => at.at(name).index(index), each]);
  }
  if (not) children.push([(at) => at.at("not"), not]);
  return children;
}

/** Formats that no server knows: they are kept and mean nothing. */
export function unknownFormats({ versions = [] }: CustomResourceDefinitionSpec): string[] {
  const found: string[] = [];
  for (const { schema } of versions) {
    visit(schema?.openAPIV3Schema, ({ type, format }) => {
      if (type === "string" && format && !isKnownFormat(format)) found.push(format);
    });
  }
  return [...new Set(found)];
}
