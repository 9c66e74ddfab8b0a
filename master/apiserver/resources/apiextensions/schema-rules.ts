/**
 * What a schema of a CustomResourceDefinition may say: OpenAPI v3 as far as Kubernetes takes it, and structural
 * (apiextensions' validation and schema packages). Paths and words are upstream's.
 */
import { equalJson, isJsonObject } from "#shared/api/patch/json-value.ts";
import { normalizeObject } from "#shared/api/schema/normalize-object.ts";
import type {
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionVersion,
  JSONSchemaProps,
  ValidationRule,
} from "#shared/api/types/apiextensions-v1.generated.ts";
import { FieldPathError, fieldPathOf } from "../../extensions/field-path.ts";
import { isKnownFormat } from "../../extensions/formats.ts";
import { checkEmbedded } from "../../extensions/object-rules.ts";
import { RuleSet } from "../../extensions/rule-set.ts";
import { structural } from "../../extensions/structural-schema.ts";
import { validateValue } from "../../extensions/value-validator.ts";
import { collect, type Field } from "../validation/field.ts";
import { checkStructure } from "./structural-rules.ts";

/** What was so before an update is borne with. */
export interface SchemaLeniency {
  readonly unprunedDefaults: boolean;
  readonly looseSets: boolean;
  readonly looseMapKeys: boolean;
  /** Names of versions whose schema stays what it was. */
  readonly unchanged: ReadonlySet<string>;
}

export const strict: SchemaLeniency = {
  unprunedDefaults: false,
  looseSets: false,
  looseMapKeys: false,
  unchanged: new Set(),
};

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

/** Calls `see` with every schema inside one, itself included. */
function visit(schema: JSONSchemaProps | undefined, see: (schema: JSONSchemaProps) => void): void {
  if (!schema) return;
  see(schema);
  for (const [, child] of childrenOf(schema)) visit(child, see);
}

/** Schemas directly inside one, with their steps in a path. */
function childrenOf(schema: JSONSchemaProps): [(at: Field) => Field, JSONSchemaProps][] {
  const children: [(at: Field) => Field, JSONSchemaProps][] = [];
  const { properties = {}, additionalProperties, items, not } = schema;
  for (const [name, each] of Object.entries(properties)) children.push([(at) => at.at("properties").key(name), each]);
  if (typeof additionalProperties === "object")
    children.push([(at) => at.at("additionalProperties"), additionalProperties]);
  if (items && !Array.isArray(items)) children.push([(at) => at.at("items"), items as JSONSchemaProps]);
  for (const name of ["allOf", "oneOf", "anyOf"] as const) {
    for (const [index, each] of (schema[name] ?? []).entries()) children.push([(at) => at.at(name).index(index), each]);
  }
  if (not) children.push([(at) => at.at("not"), not]);
  return children;
}

const allowedBesideStatus = new Set([
  "description",
  "type",
  "format",
  "title",
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
  "required",
  "items",
  "properties",
  "externalDocs",
  "example",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-validations",
]);
const allowedNames =
  "[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields XValidations]";

/** The whole schema of a version, at `field` (…schema.openAPIV3Schema). */
export function checkSchema(
  schema: JSONSchemaProps,
  { version, hasStatus }: { readonly version: string; readonly hasStatus: boolean },
  leniency: SchemaLeniency,
  field: Field,
): void {
  if (hasStatus) checkBesideStatus(schema, field);
  if (schema.nullable) field.at("nullable").forbidden("nullable cannot be true at the root");
  const structure = field.apart();
  const isForeign = hasUnsupported(schema);
  if (!isForeign) checkStructure(schema, structure.field);
  field.addAll(structure.errors.sort((a, b) => (`${a.field}: ${a.message}` < `${b.field}: ${b.message}` ? -1 : 1)));
  const isStructural = !isForeign && structure.errors.length === 0;
  const defaults = field.apart();
  if (isStructural) checkDefaults(schema, false, leniency, defaults.field);
  field.addAll(defaults.errors);
  const nodes = field.apart();
  checkNode(schema, { isRoot: true, insideMeta: false, noDefaults: undefined }, leniency, nodes.field);
  field.addAll(nodes.errors);
  if (!isStructural || defaults.errors.length + nodes.errors.length > 0) return;
  if (namesDialect(schema)) field.invalid("", "OpenAPIV3Schema 'schema' is not supported");
  else RuleSet.checkRules(schema, leniency.unchanged.has(version), field);
}

/** Whether a part of the schema has what no structural schema can have: that alone is told then. */
function hasUnsupported(schema: JSONSchemaProps): boolean {
  let found = false;
  visit(schema, ({ id, $ref, patternProperties, dependencies, additionalItems, definitions }) => {
    const filled = [patternProperties, dependencies, definitions].some((each) => Object.keys(each ?? {}).length > 0);
    found ||= !!id || !!$ref || filled || additionalItems !== undefined;
  });
  return found;
}

/** Whether a part of the schema says in what dialect of JSON Schema it is. */
function namesDialect(schema: unknown): boolean {
  if (Array.isArray(schema)) return schema.some(namesDialect);
  if (!isJsonObject(schema)) return false;
  if (typeof schema["$schema"] === "string" && schema["$schema"] !== "") return true;
  const { default: _, example: __, enum: ___, ...rest } = schema;
  return Object.values(rest).some(namesDialect);
}

function checkBesideStatus(schema: JSONSchemaProps, field: Field): void {
  for (const [name, value] of Object.entries(schema)) {
    if (value === undefined || value === false || value === "") continue;
    if (name === "type") {
      if (value === "object") continue;
      const message =
        'only "object" is allowed as the type at the root of the schema if the status subresource is enabled';
      field.at("type").invalid(value, message);
      return;
    }
    if (allowedBesideStatus.has(name)) continue;
    field.invalid(
      schema,
      `only ${allowedNames} fields are allowed at the root of the schema if the status subresource is enabled`,
    );
    return;
  }
}

interface Place {
  readonly isRoot: boolean;
  readonly insideMeta: boolean;
  /** Why defaults may not stand here. */
  readonly noDefaults: string | undefined;
}

const types = ["array", "boolean", "integer", "number", "object", "string"];
const metaFields = ["metadata", "kind", "apiVersion"];

const unsupported = {
  id: "id is not supported",
  additionalItems: "additionalItems is not supported",
  patternProperties: "patternProperties is not supported",
  definitions: "definitions is not supported",
  dependencies: "dependencies is not supported",
  $ref: "$ref is not supported",
} as const;

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === "" || (isJsonObject(value) && Object.keys(value).length === 0);

function checkNode(schema: JSONSchemaProps, place: Place, leniency: SchemaLeniency, field: Field): void {
  const { type = "" } = schema;
  if (type !== "" && !types.includes(type)) field.at("type").notSupported(type, types);
  if (schema.default !== undefined && place.noDefaults !== undefined) {
    field.at("default").forbidden(`must not be set ${place.noDefaults}`);
  }
  for (const [name, message] of Object.entries(unsupported)) {
    if (!isEmpty((schema as Record<string, unknown>)[name])) field.at(name).forbidden(message);
  }
  if (type === "null") field.at("type").forbidden("type cannot be set to null, use nullable as an alternative");
  if (Array.isArray(schema.items) && schema.items.length > 0) {
    field.at("items").forbidden("items must be a schema object and not an array");
  }
  if (place.insideMeta && schema["x-kubernetes-embedded-resource"]) {
    field.at("x-kubernetes-embedded-resource").forbidden("must not be used inside of resource meta");
  }
  if (schema.uniqueItems) {
    field
      .at("uniqueItems")
      .forbidden("uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
  }
  checkMapKinds(schema, field);
  checkListKinds(schema, leniency, field);
  checkRuleTexts(schema, field);
  checkChildren(schema, place, leniency, field);
}

function checkChildren(schema: JSONSchemaProps, place: Place, leniency: SchemaLeniency, field: Field): void {
  const { properties = {}, additionalProperties } = schema;
  const inner = { ...place, isRoot: false };
  if (additionalProperties !== undefined) {
    const declares = Object.keys(properties).length > 0;
    if (declares && additionalProperties !== true) {
      field.at("additionalProperties").forbidden("additionalProperties and properties are mutual exclusive");
    }
    if (typeof additionalProperties === "object") {
      const noDefaults = place.insideMeta
        ? "inside additionalProperties applying to object metadata"
        : place.noDefaults;
      checkNode(additionalProperties, { ...inner, noDefaults }, leniency, field.at("additionalProperties"));
    }
  }
  for (const [name, property] of Object.entries(properties)) {
    const isMeta = (place.isRoot || schema["x-kubernetes-embedded-resource"] === true) && metaFields.includes(name);
    const noDefaults = isMeta && place.isRoot ? `in top-level ${name}` : place.noDefaults;
    const at = field.at("properties").key(name);
    checkNode(property, { isRoot: false, insideMeta: place.insideMeta || isMeta, noDefaults }, leniency, at);
  }
  for (const [step, child] of childrenOf({ ...schema, properties: {}, additionalProperties: undefined })) {
    checkNode(child, inner, leniency, step(field));
  }
}

function checkMapKinds(schema: JSONSchemaProps, field: Field): void {
  const preserve = schema["x-kubernetes-preserve-unknown-fields"];
  if (preserve === false) field.at("x-kubernetes-preserve-unknown-fields").invalid(false, "must be true or undefined");
  const mapType = schema["x-kubernetes-map-type"];
  if (mapType === undefined) return;
  const message = "must be object if x-kubernetes-map-type is specified";
  if (!schema.type) field.at("type").required(message);
  else if (schema.type !== "object") field.at("type").invalid(schema.type, message);
  if (mapType !== "atomic" && mapType !== "granular") {
    field.at("x-kubernetes-map-type").notSupported(mapType, ["atomic", "granular"]);
  }
}

const listTypes = ["atomic", "set", "map"];

function checkListKinds(schema: JSONSchemaProps, leniency: SchemaLeniency, field: Field): void {
  const listType = schema["x-kubernetes-list-type"];
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  const typeField = field.at("x-kubernetes-list-type");
  const items = schema.items && !Array.isArray(schema.items) ? (schema.items as JSONSchemaProps) : undefined;
  if (listType !== undefined && schema.type !== "array") {
    const message = "must be array if x-kubernetes-list-type is specified";
    if (!schema.type) field.at("type").required(message);
    else field.at("type").invalid(schema.type, message);
  } else if (listType === "set" && items && !leniency.looseSets) checkSetItems(items, field.at("items"));
  if (listType !== undefined && !listTypes.includes(listType)) typeField.notSupported(listType, listTypes);
  if (keys.length > 0) {
    const message = "must be map if x-kubernetes-list-map-keys is non-empty";
    if (listType === undefined) typeField.required(message);
    else if (listType !== "map") typeField.invalid(listType, message);
  }
  if (listType === "map") checkMapList(schema, items, keys, field);
  if (!leniency.looseMapKeys) checkMapKeys(schema, items, field);
}

function checkSetItems(items: JSONSchemaProps, field: Field): void {
  const message = "must be atomic as item of a list with x-kubernetes-list-type=set";
  const listType = items["x-kubernetes-list-type"];
  if (items.type === "array" && listType !== undefined && listType !== "atomic") {
    field.at("x-kubernetes-list-type").invalid(listType, message);
  }
  if (items.type === "object" && items["x-kubernetes-map-type"] !== "atomic") {
    field.at("x-kubernetes-map-type").invalid(listType ?? null, message);
  }
}

function checkMapList(
  schema: JSONSchemaProps,
  items: JSONSchemaProps | undefined,
  keys: readonly string[],
  field: Field,
): void {
  const keysField = field.at("x-kubernetes-list-map-keys");
  if (keys.length === 0) keysField.required("must not be empty if x-kubernetes-list-type is map");
  if (!schema.items) field.at("items").required("must have a schema if x-kubernetes-list-type is map");
  else if (!items)
    field.at("items").invalid(schema.items, "must only have a single schema if x-kubernetes-list-type is map");
  if (items && items.type !== "object") {
    field
      .at("items", "type")
      .invalid(items.type ?? "", "must be object if parent array's x-kubernetes-list-type is map");
    return;
  }
  if (!items) return;
  const seen = new Set<string>();
  for (const key of keys) {
    const property = items.properties?.[key];
    if (!property) keysField.invalid(keys, "entries must all be names of item properties");
    else if (property.type === "array" || property.type === "object") {
      const at = field.at("items", "properties").key(key).at("type");
      at.invalid(items.type, "must be a scalar type if parent array's x-kubernetes-list-type is map");
    }
    if (seen.has(key)) keysField.invalid(keys, "must not contain duplicate entries");
    seen.add(key);
  }
}

/** Whether keys of a map list may be left out or null: then elements could not be told apart. */
function checkMapKeys(schema: JSONSchemaProps, items: JSONSchemaProps | undefined, field: Field): void {
  const listType = schema["x-kubernetes-list-type"];
  if (!items || (listType !== "set" && listType !== "map")) return;
  if (items.nullable) {
    field.at("items", "nullable").forbidden(`cannot be nullable when x-kubernetes-list-type is ${listType}`);
  }
  if (listType !== "map") return;
  for (const key of schema["x-kubernetes-list-map-keys"] ?? []) {
    const property = items.properties?.[key];
    if (!property) continue;
    const at = field.at("items", "properties").key(key);
    if (!items.required?.includes(key) && property.default === undefined) {
      at.at("default").required(
        "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
      );
    }
    if (property.nullable) {
      at.at("nullable").forbidden("this property is in x-kubernetes-list-map-keys, so it cannot be nullable");
    }
  }
}

const reasons = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

const breaks = (text: string): boolean => /[\n\r]/.test(text);

function checkRuleTexts(schema: JSONSchemaProps, field: Field): void {
  for (const [index, rule] of (schema["x-kubernetes-validations"] ?? []).entries()) {
    const at = field.at("x-kubernetes-validations").index(index);
    const { rule: expression = "", message = "" } = rule;
    if (expression.trim() === "") at.at("rule").required("rule is not specified");
    else if (message !== "" && message.trim() === "")
      at.at("message").invalid(message, "must be non-empty if specified");
    else if (breaks(message.trim())) at.at("message").invalid(message, "must not contain line breaks");
    else if (breaks(expression.trim()) && message.trim() === "") {
      at.at("message").required("message must be specified if rule contains line breaks");
    }
    checkRuleParts(schema, rule, at);
  }
}

/** What stands beside the expression and its message. */
function checkRuleParts(schema: JSONSchemaProps, rule: ValidationRule, at: Field): void {
  const { messageExpression = "", reason, fieldPath = "" } = rule;
  if (messageExpression !== "" && messageExpression.trim() === "") {
    at.at("messageExpression").required("messageExpression must be non-empty if specified");
  }
  if (reason !== undefined && !reasons.includes(reason)) at.at("reason").notSupported(reason, reasons);
  if (fieldPath !== "" && fieldPath.trim() === "")
    at.at("fieldPath").invalid(fieldPath, "must be non-empty if specified");
  if (breaks(fieldPath)) at.at("fieldPath").invalid(fieldPath, "must not contain line breaks");
  if (fieldPath !== "" && leadsNowhere(schema, fieldPath)) {
    at.at("fieldPath").invalid(fieldPath, "must be a valid path");
  }
}

function leadsNowhere(schema: JSONSchemaProps, path: string): boolean {
  try {
    fieldPathOf(path, schema);
    return false;
  } catch (error) {
    if (error instanceof FieldPathError) return true;
    throw error;
  }
}

/** Defaults must be values that the schema itself allows, with nothing in them that would be pruned. */
function checkDefaults(schema: JSONSchemaProps, insideMeta: boolean, leniency: SchemaLeniency, field: Field): void {
  const isEmbedded = schema["x-kubernetes-embedded-resource"] === true;
  const inMeta = insideMeta && !isEmbedded;
  if (schema.default !== undefined) {
    const at = field.at("default");
    const form = structural(schema);
    if (!inMeta && !leniency.unprunedDefaults && isJsonObject(schema.default)) {
      const pruned = normalizeObject(form, schema.default);
      if (!equalJson(pruned.object, schema.default)) at.invalid(schema.default, "must not have unknown fields");
    }
    checkEmbedded(schema.default, form, at);
    const errors = validateValue(schema, schema.default);
    at.addAll(
      errors.map((error) => ({ ...error, field: error.field === "<nil>" ? at.path : `${at.path}.${error.field}` })),
    );
    if (errors.length === 0) at.addAll(RuleSet.of(schema)?.checkValue(schema.default, at.path) ?? []);
  }
  if (schema.items && !Array.isArray(schema.items)) {
    checkDefaults(schema.items as JSONSchemaProps, inMeta, leniency, field.at("items"));
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const isMeta = isEmbedded && metaFields.includes(name);
    checkDefaults(property, inMeta || isMeta, leniency, field.at("properties").key(name));
  }
}

/** What a definition already has wrong. */
export function leniencyOf(before: CustomResourceDefinitionSpec, now: CustomResourceDefinitionSpec): SchemaLeniency {
  const schemas = (before.versions ?? []).flatMap(({ schema }) => schema?.openAPIV3Schema ?? []);
  let [unprunedDefaults, looseSets, looseMapKeys] = [false, false, false];
  for (const root of schemas) {
    visit(root, (schema) => {
      const items = schema.items && !Array.isArray(schema.items) ? (schema.items as JSONSchemaProps) : undefined;
      if (isJsonObject(schema.default)) {
        unprunedDefaults ||= !equalJson(normalizeObject(structural(schema), schema.default).object, schema.default);
      }
      if (items && schema["x-kubernetes-list-type"] === "set")
        looseSets ||= findsSomething((at) => checkSetItems(items, at));
      looseMapKeys ||= findsSomething((at) => checkMapKeys(schema, items, at));
    });
  }
  const isUnchanged = ({ name, schema }: CustomResourceDefinitionVersion): boolean =>
    (before.versions ?? []).some((old) => old.name === name && equalJson(old.schema, schema));
  const unchanged = new Set((now.versions ?? []).filter(isUnchanged).map(({ name }) => name));
  return { unprunedDefaults, looseSets, looseMapKeys, unchanged };
}

const findsSomething = (check: (field: Field) => void): boolean => collect(check).length > 0;
