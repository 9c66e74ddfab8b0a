/** Models of built-in kinds in the two dialects of OpenAPI. */

import { jsonFields } from "../schema/built-in.ts";
import { builtInKinds, type FieldFacts, modelFacts, optionVersions, type TypeExpression } from "../schema/facts.ts";
import type { GoType } from "../schema/schema.ts";
import type { Descriptions } from "./descriptions.ts";

export type Dialect = "v2" | "v3";
export type JsonObject = Record<string, unknown>;

const prefixes = { v2: "#/definitions/", v3: "#/components/schemas/" } as const;
const shortPrefix = "io.k8s.";

export function reference(dialect: Dialect, model: string): string {
  return prefixes[dialect] + model;
}

const meta = "apimachinery.pkg.apis.meta.v1";
const apiextensions = "apiextensions-apiserver.pkg.apis.apiextensions.v1";

/** Models of types whose JSON is not their structure, by short name. */
const specialModels: Readonly<Record<string, { readonly [D in Dialect]: JsonObject }>> = {
  [`${meta}.Time`]: both({ type: "string", format: "date-time" }),
  [`${meta}.MicroTime`]: both({ type: "string", format: "date-time" }),
  [`${meta}.Duration`]: both({ type: "string" }),
  [`${meta}.FieldsV1`]: both({ type: "object" }),
  [`${meta}.Patch`]: both({ type: "object" }),
  "apimachinery.pkg.api.resource.Quantity": {
    v2: { type: "string" },
    v3: { oneOf: [{ type: "string" }, { type: "number" }] },
  },
  "apimachinery.pkg.util.intstr.IntOrString": {
    v2: { type: "string", format: "int-or-string" },
    v3: { format: "int-or-string", oneOf: [{ type: "integer" }, { type: "string" }] },
  },
  "apimachinery.pkg.runtime.RawExtension": both({ type: "object" }),
  [`${apiextensions}.JSON`]: both({}),
  [`${apiextensions}.JSONSchemaPropsOrBool`]: both({}),
  [`${apiextensions}.JSONSchemaPropsOrArray`]: both({}),
  [`${apiextensions}.JSONSchemaPropsOrStringArray`]: both({}),
};

function both(schema: JsonObject): { v2: JsonObject; v3: JsonObject } {
  return { v2: schema, v3: schema };
}

const scalarModels: { readonly [T in GoType]?: string } = {
  time: `${meta}.Time`,
  microTime: `${meta}.MicroTime`,
  duration: `${meta}.Duration`,
  fieldsV1: `${meta}.FieldsV1`,
  quantity: "apimachinery.pkg.api.resource.Quantity",
  intOrString: "apimachinery.pkg.util.intstr.IntOrString",
  rawExtension: "apimachinery.pkg.runtime.RawExtension",
  json: `${apiextensions}.JSON`,
  schemaOrBool: `${apiextensions}.JSONSchemaPropsOrBool`,
  schemaOrArray: `${apiextensions}.JSONSchemaPropsOrArray`,
  schemaOrStrings: `${apiextensions}.JSONSchemaPropsOrStringArray`,
};

const plainScalars: { readonly [T in GoType]?: JsonObject } = {
  string: { type: "string" },
  bool: { type: "boolean" },
  int32: { type: "integer", format: "int32" },
  int64: { type: "integer", format: "int64" },
  uint32: { type: "integer", format: "int64" },
  float64: { type: "number", format: "double" },
  bytes: { type: "string", format: "byte" },
};

const zeroDefaults: { readonly [T in GoType]?: unknown } = { string: "", bool: false, int32: 0, int64: 0, uint32: 0 };

/** Short names of the models that a model refers to. */
function referencedModels(model: string): string[] {
  if (specialModels[model]) return [];
  return modelFacts(model).fields.flatMap((field) =>
    field.flags.includes("i") && field.type.kind === "model"
      ? referencedModels(field.type.model)
      : modelsOf(field.type),
  );
}

function modelsOf(type: TypeExpression): string[] {
  if (type.kind === "model") return [type.model];
  if (type.kind !== "scalar") return modelsOf(type.element);
  const model = scalarModels[type.scalar];
  return model === undefined ? [] : [model];
}

/** Short names of the models that are reached from the given ones, those included, sorted. */
export function reachableModels(roots: Iterable<string>): string[] {
  const found = new Set<string>();
  const waiting = [...roots];
  for (let model = waiting.pop(); model !== undefined; model = waiting.pop()) {
    if (found.has(model)) continue;
    found.add(model);
    waiting.push(...referencedModels(model));
  }
  return [...found].sort();
}

/** Published name of a model, `io.k8s.api.core.v1.Pod`. */
export function publishedName(shortName: string): string {
  return shortPrefix + shortName;
}

/** Short name of a model of apimachinery's, `apimachinery.pkg.apis.meta.v1.Status`. */
export function metaShortName(name: string): string {
  return `${meta}.${name}`;
}

/** Its published name, `io.k8s.apimachinery.pkg.apis.meta.v1.Status`. */
export function metaModel(name: string): string {
  return publishedName(metaShortName(name));
}

/** Short name of a published model's name. */
export function shortName(published: string): string {
  return published.slice(shortPrefix.length);
}

/** What a document is made of. */
export interface DocumentKind {
  readonly dialect: Dialect;
  /** Of custom resources alone. */
  readonly custom: boolean;
}

/** The schema of a model. */
export function renderModel(model: string, { dialect, custom }: DocumentKind, descriptions: Descriptions): JsonObject {
  const special = specialModels[model];
  const texts = descriptions.of(model);
  const own = texts[""] ? { description: texts[""] } : {};
  if (special) return { ...own, ...special[dialect] };
  const facts = modelFacts(model);
  const fields = jsonFields(facts);
  const schema: JsonObject = own;
  const required = fields.filter((field) => field.flags.includes("r")).map((field) => field.name);
  if (required.length > 0) schema["required"] = required;
  schema["type"] = "object";
  if (fields.length > 0) {
    schema["properties"] = Object.fromEntries(
      fields.map((field) => [field.name, renderField(field, dialect, texts[field.name])]),
    );
  }
  const kinds = kindsOf(model, custom);
  if (kinds.length > 0) schema["x-kubernetes-group-version-kind"] = kinds;
  if (facts.mapType) schema["x-kubernetes-map-type"] = facts.mapType;
  if (facts.unions) schema["x-kubernetes-unions"] = facts.unions;
  return schema;
}

/** Kinds whose Go types are registered in every group. */
const kindsOfEveryGroup = new Set(["DeleteOptions", "WatchEvent"]);

function kindsOf(model: string, custom: boolean): JsonObject[] {
  const kinds: JsonObject[] = [];
  for (const { group, version, kind, model: own } of builtInKinds()) {
    if (own !== model) continue;
    if (group !== "meta.k8s.io") kinds.push({ group, kind, version });
    else if (kindsOfEveryGroup.has(kind)) kinds.push(...inEveryGroup(kind, custom));
    else kinds.push({ group: "", kind, version: "v1" });
  }
  return kinds;
}

function inEveryGroup(kind: string, custom: boolean): JsonObject[] {
  const versions = optionVersions().filter(({ ofClients }) => ofClients || !custom);
  return versions.map(({ group, version }) => ({ group, kind, version }));
}

function renderField(field: FieldFacts, dialect: Dialect, description: string | undefined): JsonObject {
  const { more, flags } = field;
  const siblings: JsonObject = {};
  if (description) siblings["description"] = withPossibleValues(description, more.enum);
  if (dialect === "v3") {
    const fallback = more.default ?? (flags.includes("d") ? zeroDefault(field.type) : undefined);
    if (fallback !== undefined) siblings["default"] = fallback;
  }
  if (more.enum) siblings["enum"] = more.enum;
  if (more.listMapKeys) siblings["x-kubernetes-list-map-keys"] = more.listMapKeys;
  if (more.listType) siblings["x-kubernetes-list-type"] = more.listType;
  if (more.mapType) siblings["x-kubernetes-map-type"] = more.mapType;
  if (more.patchMergeKey) siblings["x-kubernetes-patch-merge-key"] = more.patchMergeKey;
  if (more.patchStrategy) siblings["x-kubernetes-patch-strategy"] = more.patchStrategy.join(",");
  const element: JsonObject = more.elementEnum ? { enum: more.elementEnum } : {};
  return withSiblings(renderType(field.type, dialect, { hasDefault: flags.includes("e"), element }), siblings, dialect);
}

const valuesHeading = "\n\nPossible enum values:\n";

/** As upstream's descriptions end. The package that carries them may know other values; what it says of these is kept. */
function withPossibleValues(description: string, values: readonly unknown[] | undefined): string {
  if (!values) return description;
  const [text = "", told = ""] = description.split(valuesHeading);
  const ofValue = new Map(
    [...told.matchAll(/^ - `"(.*?)"`(.*(?:\n(?! - `").*)*)/gm)].map(([, value = "", more = ""]) => [value, more]),
  );
  return (
    text + valuesHeading + values.map((value) => ` - \`"${value}"\`${ofValue.get(String(value)) ?? ""}`).join("\n")
  );
}

/** OpenAPI 3.0 allows nothing beside a $ref, so it is wrapped there. */
function withSiblings(schema: JsonObject, siblings: JsonObject, dialect: Dialect): JsonObject {
  if (Object.keys(siblings).length === 0) return schema;
  if ("$ref" in schema && dialect === "v3") return { ...siblings, allOf: [schema] };
  return { ...siblings, ...schema };
}

/** What is said of the elements of a list or map, but for their type. */
interface ElementKeywords {
  readonly hasDefault: boolean;
  readonly element: JsonObject;
}

function renderType(type: TypeExpression, dialect: Dialect, keywords: ElementKeywords): JsonObject {
  switch (type.kind) {
    case "model":
      return { $ref: reference(dialect, publishedName(type.model)) };
    case "list":
      return { type: "array", items: renderElement(type.element, dialect, keywords) };
    case "map":
      return { type: "object", additionalProperties: renderElement(type.element, dialect, keywords) };
    case "scalar": {
      const model = scalarModels[type.scalar];
      return model === undefined
        ? (plainScalars[type.scalar] ?? {})
        : { $ref: reference(dialect, publishedName(model)) };
    }
  }
}

function renderElement(type: TypeExpression, dialect: Dialect, keywords: ElementKeywords): JsonObject {
  const schema = renderType(type, dialect, keywords);
  const fallback = keywords.hasDefault && dialect === "v3" ? zeroDefault(type) : undefined;
  const siblings = fallback === undefined ? keywords.element : { default: fallback, ...keywords.element };
  return withSiblings(schema, siblings, dialect);
}

function zeroDefault(type: TypeExpression): unknown {
  if (type.kind === "model") return {};
  return type.kind === "scalar" ? zeroDefaults[type.scalar] : undefined;
}
