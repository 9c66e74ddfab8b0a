/** Schemas of CustomResourceDefinitions in the one structural form that pruning, patches and server-side apply walk by. */
import { schemaOfModel } from "#shared/api/schema/built-in.ts";
import type { Schema, SchemaType } from "#shared/api/schema/schema.ts";
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";

const types: readonly string[] = ["object", "array", "string", "integer", "number", "boolean"];

/** Of a kind that nothing is said about. */
const openObject: JSONSchemaProps = { type: "object", "x-kubernetes-preserve-unknown-fields": true };

const text = structural({ type: "string" });
const objectMeta = schemaOfModel("apimachinery.pkg.apis.meta.v1.ObjectMeta");

/** The one schema of a list's items; undefined without one, or with one for each item. */
export function itemsOf({ items }: JSONSchemaProps): JSONSchemaProps | undefined {
  return items && !Array.isArray(items) ? (items as JSONSchemaProps) : undefined;
}

/** The schema of a whole custom resource: what is written, with apiVersion, kind and metadata. */
export function resourceSchema(written: JSONSchemaProps | undefined): Schema {
  const root = structural(written ?? openObject);
  const properties = new Map(root.properties);
  properties.set("apiVersion", text).set("kind", text).set("metadata", objectMeta);
  return { ...root, type: "object", properties };
}

/** One node and all below it. */
export function structural(node: JSONSchemaProps): Schema {
  const { properties, additionalProperties } = node;
  const items = itemsOf(node);
  const preserves = node["x-kubernetes-preserve-unknown-fields"] === true || additionalProperties === true;
  return {
    structural: true,
    type: typeOf(node),
    format: node.format || undefined,
    properties: properties && new Map(Object.entries(properties).map(([name, each]) => [name, structural(each)])),
    additionalProperties: typeof additionalProperties === "object" ? structural(additionalProperties) : undefined,
    items: items && structural(items),
    required: node.required,
    enum: node.enum,
    default: node.default,
    nullable: node.nullable === true,
    listType: node["x-kubernetes-list-type"] as Schema["listType"],
    listMapKeys: node["x-kubernetes-list-map-keys"],
    mapType: node["x-kubernetes-map-type"] as Schema["mapType"],
    intOrString: node["x-kubernetes-int-or-string"] === true,
    preserveUnknownFields: preserves,
    embeddedResource: node["x-kubernetes-embedded-resource"] === true,
  };
}

function typeOf(node: JSONSchemaProps): SchemaType {
  if (node["x-kubernetes-int-or-string"]) return "any";
  const { type = "" } = node;
  return types.includes(type) ? (type as SchemaType) : "any";
}
