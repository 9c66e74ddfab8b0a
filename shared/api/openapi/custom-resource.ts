/** Models of custom resources: their schemas as written, with what every object has, cut to what OpenAPI v2 can say. */
import { apiVersionOf } from "../object.ts";
import type { JSONSchemaProps } from "../types/apiextensions-v1.generated.ts";
import { type Dialect, type JsonObject, metaModel, reference } from "./models.ts";
import {
  customModelNames,
  type OtherNames,
  type PublishedCustomResource,
  type PublishedResource,
} from "./published-resource.ts";

const objectMeta = metaModel("ObjectMeta");
const listMeta = metaModel("ListMeta");
const objectMetaDescription = "Standard object's metadata.";
const listMetaDescription = "Standard list metadata.";
const typeMeta = {
  apiVersion: {
    type: "string",
    description: "APIVersion defines the group and version whose schema this object follows.",
  },
  kind: { type: "string", description: "Kind names the resource that this object is one of." },
};

/** Models of the kind and of its list, by published name. @param names what those have that are not called as usual */
export function renderCustomModels(
  resource: PublishedResource,
  dialect: Dialect,
  names: OtherNames,
): [name: string, schema: JsonObject][] {
  const { kind, listKind = `${kind}List`, custom = {} } = resource;
  const [own, list] = customModelNames(resource).map((name) => names.get(name) ?? name) as [string, string];
  return [
    [own, renderCustomModel(resource, custom, dialect)],
    [list, renderListModel(resource, { listKind, itemModel: own }, custom, dialect)],
  ];
}

function renderCustomModel(resource: PublishedResource, custom: PublishedCustomResource, dialect: Dialect): JsonObject {
  const { group, version, kind } = resource;
  return {
    ...customSchema(custom, dialect),
    "x-kubernetes-group-version-kind": [{ group, kind, version }],
    ...selectableFields(custom),
  };
}

function customSchema({ schema, preserveUnknownFields }: PublishedCustomResource, dialect: Dialect): JsonObject {
  if (!schema) return { type: "object" };
  const isOpen = preserveUnknownFields === true || schema["x-kubernetes-preserve-unknown-fields"] === true;
  // kubectl takes declared fields of v2 for all there are, so nothing may be declared of an open object.
  if (dialect === "v2" && isOpen) return { type: "object" };
  const rendered = renderSchema(schema, dialect);
  const properties = {
    ...(rendered["properties"] as JsonObject | undefined),
    ...typeMeta,
    metadata: metadata(dialect),
  };
  return { ...rendered, properties };
}

function renderListModel(
  { group, version, kind, plural }: PublishedResource,
  { listKind, itemModel }: { readonly listKind: string; readonly itemModel: string },
  custom: PublishedCustomResource,
  dialect: Dialect,
): JsonObject {
  return {
    description: `${listKind} is a list of ${kind}`,
    type: "object",
    required: ["items"],
    properties: {
      ...typeMeta,
      items: {
        description: `List of ${plural} of ${apiVersionOf({ group, version })}.`,
        type: "array",
        items: { $ref: reference(dialect, itemModel) },
      },
      metadata: referenceWith(listMeta, listMetaDescription, dialect),
    },
    "x-kubernetes-group-version-kind": [{ group, kind: listKind, version }],
    ...selectableFields(custom),
  };
}

function selectableFields({ selectableFields: paths = [] }: PublishedCustomResource): JsonObject {
  if (paths.length === 0) return {};
  return { "x-kubernetes-selectable-fields": paths.map((path) => ({ fieldPath: path.replace(/^\./, "") })) };
}

function metadata(dialect: Dialect): JsonObject {
  return referenceWith(objectMeta, objectMetaDescription, dialect);
}

function referenceWith(model: string, description: string, dialect: Dialect): JsonObject {
  const $ref = reference(dialect, model);
  return dialect === "v3" ? { description, allOf: [{ $ref }] } : { description, $ref };
}

/** Keywords that are carried over as they are. */
const plainKeywords = [
  "type",
  "description",
  "title",
  "format",
  "default",
  "maximum",
  "exclusiveMaximum",
  "minimum",
  "exclusiveMinimum",
  "maxLength",
  "minLength",
  "pattern",
  "maxItems",
  "minItems",
  "uniqueItems",
  "multipleOf",
  "enum",
  "maxProperties",
  "minProperties",
  "required",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-embedded-resource",
  "x-kubernetes-int-or-string",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-list-type",
  "x-kubernetes-map-type",
  "x-kubernetes-validations",
] as const satisfies readonly (keyof JSONSchemaProps)[];

const empty = (value: unknown) =>
  value === undefined || value === false || value === "" || (Array.isArray(value) && value.length === 0);

function renderSchema(schema: JSONSchemaProps, dialect: Dialect): JsonObject {
  const rendered: JsonObject = {};
  for (const keyword of plainKeywords) {
    const value = schema[keyword];
    if (keyword === "default" ? value !== undefined && dialect === "v3" : !empty(value)) rendered[keyword] = value;
  }
  if (dialect === "v3") {
    if (schema.nullable) rendered["nullable"] = true;
    renderJunctors(schema, rendered);
  }
  renderChildren(schema, rendered, dialect);
  if (dialect === "v2") simplify(schema, rendered);
  if (schema["x-kubernetes-embedded-resource"]) addEmbedded(schema, rendered, dialect);
  return rendered;
}

function renderChildren(schema: JSONSchemaProps, rendered: JsonObject, dialect: Dialect): void {
  const { properties, items, additionalProperties } = schema;
  if (properties) {
    rendered["properties"] = Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [name, renderSchema(property, dialect)]),
    );
  }
  if (items && !Array.isArray(items)) rendered["items"] = renderSchema(items, dialect);
  if (typeof additionalProperties === "object") {
    rendered["additionalProperties"] = renderSchema(additionalProperties, dialect);
  } else if (additionalProperties !== undefined) rendered["additionalProperties"] = additionalProperties;
}

/** Alternatives of v3; a field that is an integer or text says so by them too. */
function renderJunctors(schema: JSONSchemaProps, rendered: JsonObject): void {
  for (const keyword of ["allOf", "anyOf", "oneOf", "not"] as const) {
    if (!empty(schema[keyword])) rendered[keyword] = schema[keyword];
  }
  if (!schema["x-kubernetes-int-or-string"] || isIntOrStringPattern(schema)) return;
  const either = [{ type: "integer" }, { type: "string" }];
  if (rendered["anyOf"] === undefined) rendered["anyOf"] = either;
  else rendered["allOf"] = [{ anyOf: either }, ...(schema.allOf ?? [])];
}

function isIntOrStringPattern({ anyOf, allOf }: JSONSchemaProps): boolean {
  const isPattern = (alternatives: JSONSchemaProps[] | undefined) =>
    alternatives?.length === 2 && alternatives[0]?.type === "integer" && alternatives[1]?.type === "string";
  return isPattern(anyOf) || isPattern(allOf?.[0]?.anyOf);
}

/** What kubectl's reading of v2 cannot cope with goes: null, open objects, arrays of nothing. */
function simplify(schema: JSONSchemaProps, rendered: JsonObject): void {
  const isOpen = schema["x-kubernetes-preserve-unknown-fields"] === true;
  if (schema.nullable || isOpen) {
    delete rendered["items"];
    delete rendered["properties"];
  }
  const isBareArray = rendered["type"] === "array" && rendered["items"] === undefined;
  if (schema.nullable || isBareArray || (isOpen && schema.type === "object")) delete rendered["type"];
  const required = (schema.required ?? []).filter(
    (name) => !schema.properties?.[name]?.nullable || rendered["properties"] === undefined,
  );
  const { additionalProperties } = schema;
  const nullableValues = typeof additionalProperties === "object" && additionalProperties.nullable;
  if (required.length === 0 || nullableValues) delete rendered["required"];
  else rendered["required"] = required;
}

function addEmbedded(schema: JSONSchemaProps, rendered: JsonObject, dialect: Dialect): void {
  if (dialect === "v2" && schema["x-kubernetes-preserve-unknown-fields"]) return;
  rendered["properties"] = {
    ...(rendered["properties"] as JsonObject | undefined),
    ...typeMeta,
    metadata: metadata(dialect),
  };
  rendered["required"] = [...new Set([...(schema.required ?? []), "kind", "apiVersion"])];
}
