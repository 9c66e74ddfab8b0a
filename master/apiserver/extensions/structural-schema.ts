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
    properties: properties && fieldsOf(node, properties),
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

function fieldsOf(node: JSONSchemaProps, properties: Record<string, JSONSchemaProps>): Map<string, Schema> {
  const fields = new Map(Object.entries(properties).map(([name, each]) => [name, structural(each)]));
  const metadata = fields.get("metadata");
  if (metadata && node["x-kubernetes-embedded-resource"] === true) fields.set("metadata", metadataOf(metadata));
  return fields;
}

/** Of an embedded object's metadata no more is said than of what metadata has: a default of anything else would come and go. */
function metadataOf(written: Schema): Schema {
  const properties = [...(written.properties ?? [])].filter(([name]) => objectMeta?.properties?.has(name));
  return { ...written, properties: new Map(properties) };
}

const anything = structural({ "x-kubernetes-preserve-unknown-fields": true });

/** What pruning goes by, which takes nothing away from the metadata of embedded objects: that is left to defaulting. */
export function withOpenMetadata(schema: Schema): Schema {
  const fields = [...(schema.properties ?? [])].map(([name, each]) => [name, withOpenMetadata(each)] as const);
  const own = schema.embeddedResource ? (["apiVersion", "kind", "metadata"] as const) : [];
  const open = own.map((name) => [name, anything] as const);
  return {
    ...schema,
    embeddedResource: false,
    properties: schema.properties || open.length > 0 ? new Map([...fields, ...open]) : undefined,
    additionalProperties: schema.additionalProperties && withOpenMetadata(schema.additionalProperties),
    items: schema.items && withOpenMetadata(schema.items),
  };
}

function typeOf(node: JSONSchemaProps): SchemaType {
  if (node["x-kubernetes-int-or-string"]) return "any";
  const { type = "" } = node;
  return types.includes(type) ? (type as SchemaType) : "any";
}
