/** Whether a schema is structural: every field is declared outside of allOf, anyOf, oneOf and not (apiextensions' schema/validation.go). */
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import { itemsOf } from "../../extensions/structural-schema.ts";
import { patternProblem } from "../../extensions/value-validator.ts";
import type { Field } from "../validation/field.ts";

type Level = "root" | "item" | "field";

export function checkStructure(schema: JSONSchemaProps, field: Field): void {
  checkNode(schema, "root", field);
  checkComplete(schema, field);
}

const typeMissing = {
  root: "must not be empty at the root",
  item: "must not be empty for specified array items",
  field: "must not be empty for specified object fields",
} as const;

function checkNode(schema: JSONSchemaProps, level: Level, field: Field): void {
  const { type = "", items, properties = {}, additionalProperties } = schema;
  const isEmbedded = schema["x-kubernetes-embedded-resource"] === true;
  const isIntOrString = schema["x-kubernetes-int-or-string"] === true;
  const preserves = schema["x-kubernetes-preserve-unknown-fields"] === true;
  if (type === "array" && !items) field.at("items").required("must be specified");
  const item = itemsOf(schema);
  if (item) checkNode(item, "item", field.at("items"));
  for (const [name, property] of Object.entries(properties)) {
    checkNode(property, "field", field.at("properties").key(name));
  }
  if (additionalProperties !== undefined) {
    if (level === "root") field.at("additionalProperties").forbidden("must not be used at the root");
    if (typeof additionalProperties === "object") {
      checkNode(additionalProperties, "field", field.at("additionalProperties"));
    }
  }
  if (isIntOrString && preserves) {
    field
      .at("x-kubernetes-preserve-unknown-fields")
      .invalid(true, "must be false if x-kubernetes-int-or-string is true");
  }
  if (isIntOrString && isEmbedded) {
    field.at("x-kubernetes-embedded-resource").invalid(true, "must be false if x-kubernetes-int-or-string is true");
  }
  checkValueRules(schema, isIntOrStringPattern(schema.anyOf), isIntOrStringPattern(schema.allOf?.[0]?.anyOf), field);
  checkType(schema, level, field);
  if (isEmbedded && additionalProperties !== undefined) {
    field.at("additionalProperties").forbidden("must not be used if x-kubernetes-embedded-resource is set");
  }
  if (level === "root" && type !== "" && type !== "object")
    field.at("type").invalid(type, "must be object at the root");
  checkMeta(properties, level, isEmbedded, field);
  if (isEmbedded && !preserves && Object.keys(properties).length === 0) {
    field
      .at("properties")
      .required(
        "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
      );
  }
}

function checkType(schema: JSONSchemaProps, level: Level, field: Field): void {
  const { type = "" } = schema;
  const isFree =
    schema["x-kubernetes-int-or-string"] === true || schema["x-kubernetes-preserve-unknown-fields"] === true;
  if (schema["x-kubernetes-embedded-resource"] === true) {
    const message = "must be object if x-kubernetes-embedded-resource is true";
    if (type === "") field.at("type").required(message);
    else if (type !== "object") field.at("type").invalid(type, message);
  } else if (type === "" && !isFree) field.at("type").required(typeMissing[level]);
}

function checkMeta(
  properties: Readonly<Record<string, JSONSchemaProps>>,
  level: Level,
  isEmbedded: boolean,
  field: Field,
): void {
  const isObject = level === "root" || isEmbedded;
  for (const name of ["kind", "apiVersion"]) {
    const property = properties[name];
    if (property && isObject && property.type !== "string") {
      field
        .at("properties")
        .key(name)
        .at("type")
        .invalid(property.type ?? "", "must be string");
    }
  }
  const { metadata } = properties;
  if (!metadata) return;
  const at = field.at("properties").key("metadata");
  if (isObject && metadata.type !== "object") at.at("type").invalid(metadata.type ?? "", "must be object");
  if (level !== "root") return;
  const { type: _type, default: _default, properties: named = {}, ...rest } = metadata;
  const others = Object.keys(named).filter((name) => name !== "name" && name !== "generateName");
  const more = Object.values(rest).some((value) => value !== undefined && value !== false && value !== "");
  if (others.length > 0 || more) {
    at.forbidden("must not specify anything other than name and generateName, but metadata is implicitly specified");
  }
}

const onlyType = (schema: JSONSchemaProps | undefined, type: string): boolean =>
  schema?.type === type && Object.values(schema).filter((value) => value !== undefined).length === 1;

function isIntOrStringPattern(anyOf: readonly JSONSchemaProps[] | undefined): boolean {
  return anyOf?.length === 2 && onlyType(anyOf[0], "integer") && onlyType(anyOf[1], "string");
}

function checkValueRules(schema: JSONSchemaProps, skipAnyOf: boolean, skipAllOf: boolean, field: Field): void {
  const { anyOf = [], allOf = [], oneOf = [], not, pattern } = schema;
  if (!skipAnyOf) for (const [i, each] of anyOf.entries()) checkNested(each, false, field.at("anyOf").index(i));
  for (const [i, each] of allOf.entries()) checkNested(each, skipAllOf && i === 0, field.at("allOf").index(i));
  for (const [i, each] of oneOf.entries()) checkNested(each, false, field.at("oneOf").index(i));
  if (not) checkNested(not, false, field.at("not"));
  const problem = pattern ? patternProblem(pattern) : undefined;
  if (problem !== undefined) {
    field.at("pattern").invalid(pattern, `must be a valid regular expression, but isn't: ${problem}`);
  }
}

const forbiddenInside: readonly (readonly [keyof JSONSchemaProps, string])[] = [
  ["type", "must be empty to be structural"],
  ["additionalProperties", "must be undefined to be structural"],
  ["default", "must be undefined to be structural"],
  ["title", "must be empty to be structural"],
  ["description", "must be empty to be structural"],
  ["nullable", "must be false to be structural"],
  ["x-kubernetes-preserve-unknown-fields", "must be false to be structural"],
  ["x-kubernetes-embedded-resource", "must be false to be structural"],
  ["x-kubernetes-int-or-string", "must be false to be structural"],
  ["x-kubernetes-list-map-keys", "must be empty to be structural"],
  ["x-kubernetes-list-type", "must be undefined to be structural"],
  ["x-kubernetes-map-type", "must be undefined to be structural"],
  ["x-kubernetes-validations", "must be empty to be structural"],
];

const isSet = (value: unknown): boolean =>
  value !== undefined && value !== false && value !== "" && !(Array.isArray(value) && value.length === 0);

/** Below a junctor, schemas only narrow values. */
function checkNested(schema: JSONSchemaProps, skipAnyOf: boolean, field: Field): void {
  checkValueRules(schema, skipAnyOf, false, field);
  const { properties = {} } = schema;
  const items = itemsOf(schema);
  if (items) checkNested(items, false, field.at("items"));
  for (const [name, each] of Object.entries(properties)) checkNested(each, false, field.at("properties").key(name));
  for (const [name, message] of forbiddenInside) {
    const value = schema[name];
    if (name === "additionalProperties" ? value !== undefined : isSet(value)) field.at(name).forbidden(message);
  }
  if (properties["metadata"]) {
    field.at("properties").key("metadata").forbidden("must not be specified in a nested context");
  }
}

/** Every field that a junctor of the root names is declared by the structure too. As upstream, deeper ones are not looked at. */
function checkComplete(schema: JSONSchemaProps, field: Field): void {
  const { anyOf = [], allOf = [], oneOf = [], not } = schema;
  for (const [i, each] of anyOf.entries()) checkCovered(each, schema, field.at("anyOf").index(i), field);
  for (const [i, each] of allOf.entries()) checkCovered(each, schema, field.at("allOf").index(i), field);
  for (const [i, each] of oneOf.entries()) checkCovered(each, schema, field.at("oneOf").index(i), field);
  if (not) checkCovered(not, schema, field.at("not"), field);
}

function checkCovered(nested: JSONSchemaProps, structure: JSONSchemaProps | undefined, at: Field, origin: Field): void {
  const { properties = {}, anyOf = [], allOf = [], oneOf = [], not } = nested;
  const items = itemsOf(nested);
  if (items) {
    const own = structure && itemsOf(structure);
    const must = origin.at("items");
    if (own) checkCovered(items, own, at.at("items"), must);
    else must.required(`because it is defined in ${at.at("items").path}`);
  }
  for (const [name, each] of Object.entries(properties)) {
    const own = structure?.properties?.[name];
    const must = origin.at("properties").key(name);
    const there = at.at("properties").key(name);
    if (own) checkCovered(each, own, there, must);
    else must.required(`because it is defined in ${there.path}`);
  }
  for (const [i, each] of anyOf.entries()) checkCovered(each, structure, at.at("anyOf").index(i), origin);
  for (const [i, each] of allOf.entries()) checkCovered(each, structure, at.at("allOf").index(i), origin);
  for (const [i, each] of oneOf.entries()) checkCovered(each, structure, at.at("oneOf").index(i), origin);
  if (not) checkCovered(not, structure, at.at("not"), origin);
}
