/**
 * What a schema of a CustomResourceDefinition may say: OpenAPI v3 as far as Kubernetes takes it, and structural
 * (apiextensions' validation and schema packages). Paths and words are upstream's.
 */
import { isJsonObject } from "#shared/api/patch/json-value.ts";
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import { checkRules } from "../../extensions/rule-checks.ts";
import type { Field } from "../validation/field.ts";
import { checkDefaults } from "./default-rules.ts";
import type { SchemaLeniency } from "./schema-leniency.ts";
import { childrenOf, metaFields, visit } from "./schema-walk.ts";
import { checkStructure } from "./structural-rules.ts";
import { checkListTopology, checkMapTopology } from "./topology-rules.ts";
import { checkRuleTexts } from "./validation-rule-texts.ts";

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
  else checkRules(schema, leniency.unchanged.has(version), field);
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
  checkMapTopology(schema, field);
  checkListTopology(schema, leniency, field);
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
