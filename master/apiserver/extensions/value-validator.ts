/**
 * Values against a CRD's OpenAPI schema, in the words of kube-openapi's validator. On an update, what has not changed is
 * not judged again (KEP-4008): lists are compared by their map keys, everything else by its place.
 */
import { RE2JS } from "re2js";
import { integerOf, isRawNumber, numberToken } from "#shared/api/codec/number.ts";
import type { FieldError, FieldErrorReason } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { equalJson, goJson, isJsonObject, type JsonObject, member } from "#shared/api/patch/json-value.ts";
import type { JSONSchemaProps } from "#shared/api/types/apiextensions-v1.generated.ts";
import { Field } from "../resources/validation/field.ts";
import { isUnchanged, keysOf } from "./correlation.ts";
import { hasFormat, isKnownFormat } from "./formats.ts";
import { itemsOf } from "./structural-schema.ts";

/** Everything that is wrong with `value`; paths begin at `path`, which is empty for a whole object. */
export function validateValue(
  schema: JSONSchemaProps,
  value: unknown,
  path = "",
  old?: { readonly value: unknown },
): FieldError[] {
  return new Walk().node(schema, value, path, old).errors;
}

/** What came of one node: errors, and how many checks passed, by which the best alternative of several is chosen. */
interface Outcome {
  errors: FieldError[];
  matches: number;
}

type Old = { readonly value: unknown } | undefined;

/** Upstream prints a path that is none so. */
const NO_PATH = "<nil>";

class Walk {
  node(schema: JSONSchemaProps, value: unknown, path: string, old: Old): Outcome {
    const outcome: Outcome = { errors: [], matches: 0 };
    if (old && isUnchanged(schema, value, old.value)) return outcome;
    const report = reporter(path, outcome.errors);
    if (value === null || value === undefined) {
      checkNull(schema, path, report);
      checkEnum(schema, value, report);
      return outcome;
    }
    const type = jsonType(value);
    checkType(schema, value, type, path, report);
    this.alternatives(schema, value, path, outcome);
    if (typeof value === "string") checkText(schema, value, path, report);
    if (type === "integer" || type === "number") checkNumber(schema, value, path, report);
    if (Array.isArray(value)) this.items(schema, value, path, old, outcome);
    checkEnum(schema, value, report);
    if (isJsonObject(value)) this.fields(schema, value, path, old, outcome);
    if (outcome.errors.length === 0) outcome.matches += 1;
    outcome.matches += 1;
    return outcome;
  }

  private alternatives(schema: JSONSchemaProps, value: unknown, path: string, outcome: Outcome): void {
    const { anyOf = [], oneOf = [], allOf = [], not } = schema;
    const shown = JSON.stringify(path);
    if (anyOf.length > 0) {
      const tried = anyOf.map((each) => this.node(each, value, path, undefined));
      const first = tried.find(({ errors }) => errors.length === 0);
      if (!first) {
        outcome.errors.push(loose(`${shown} must validate at least one schema (anyOf)`));
        merge(outcome, best(tried));
      } else outcome.matches += first.matches;
    }
    if (oneOf.length > 0) {
      const tried = oneOf.map((each) => this.node(each, value, path, undefined));
      const valid = tried.filter(({ errors }) => errors.length === 0);
      if (valid.length !== 1) {
        const found = valid.length === 0 ? "Found none valid" : `Found ${valid.length} valid alternatives`;
        outcome.errors.push(loose(`${shown} must validate one and only one schema (oneOf). ${found}`));
        if (valid.length === 0) merge(outcome, best(tried));
      } else outcome.matches += valid[0]?.matches ?? 0;
    }
    if (allOf.length > 0) {
      const tried = allOf.map((each) => this.node(each, value, path, undefined));
      for (const each of tried) merge(outcome, each);
      const valid = tried.filter(({ errors }) => errors.length === 0).length;
      if (valid !== tried.length) {
        outcome.errors.push(
          loose(`${shown} must validate all the schemas (allOf)${valid === 0 ? ". None validated" : ""}`),
        );
      }
    }
    if (not && this.node(not, value, path, undefined).errors.length === 0) {
      outcome.errors.push(loose(`${shown} must not validate the schema (not)`));
    }
    outcome.matches += 1;
  }

  private items(schema: JSONSchemaProps, list: readonly unknown[], path: string, old: Old, outcome: Outcome): void {
    const { minItems, maxItems, uniqueItems } = schema;
    const items = itemsOf(schema);
    if (items) {
      const counterpart = correlator(schema, old);
      for (const [index, item] of list.entries()) {
        merge(outcome, this.node(items, item, `${path}[${index}]`, counterpart(item)));
      }
    }
    const report = reporter(path, outcome.errors);
    if (minItems !== undefined && list.length < minItems) {
      report(
        "FieldValueInvalid",
        `Invalid value: ${list.length}: ${path} in body should have at least ${minItems} items`,
      );
    }
    if (maxItems !== undefined && list.length > maxItems)
      new Field(pathOf(path), outcome.errors).tooMany(list.length, maxItems);
    if (uniqueItems && list.some((item, index) => list.slice(0, index).some((other) => equalJson(item, other)))) {
      report("FieldValueInvalid", `Invalid value: "": ${path} in body shouldn't contain duplicates`);
    }
    outcome.matches += 1;
  }

  private fields(schema: JSONSchemaProps, object: JsonObject, path: string, old: Old, outcome: Outcome): void {
    const { properties = {}, additionalProperties, required = [], minProperties, maxProperties } = schema;
    const keys = Object.keys(object);
    const report = reporter(path, outcome.errors);
    if (minProperties !== undefined && keys.length < minProperties) {
      const message = `${path} in body should have at least ${minProperties} properties`;
      report("FieldValueInvalid", `Invalid value: ${keys.length}: ${message}`);
    }
    if (maxProperties !== undefined && keys.length > maxProperties) {
      new Field(pathOf(path), outcome.errors).tooMany(keys.length, maxProperties);
    }
    const before = old && isJsonObject(old.value) ? old.value : undefined;
    // The version of the whole object is the request's, before and after: it tells of no change.
    const isJudgedAgain = (key: string): boolean => path === "" && (key === "apiVersion" || key === "kind");
    const counterpart = (key: string): Old =>
      before && Object.hasOwn(before, key) && !isJudgedAgain(key) ? { value: member(before, key) } : undefined;
    for (const key of keys) {
      if (Object.hasOwn(properties, key)) continue;
      if (additionalProperties === false) {
        const message = `${path}.${key} in body is a forbidden property`;
        report("FieldValueInvalid", `Invalid value: ${JSON.stringify(key)}: ${message}`);
      } else if (typeof additionalProperties === "object") {
        merge(outcome, this.node(additionalProperties, member(object, key), `${path}.${key}`, counterpart(key)));
      }
    }
    for (const [name, property] of Object.entries(properties)) {
      if (!Object.hasOwn(object, name)) continue;
      const at = path === "" ? name : `${path}.${name}`;
      merge(outcome, this.node(property, member(object, name), at, counterpart(name)));
    }
    for (const name of required) {
      if (Object.hasOwn(object, name)) continue;
      outcome.errors.push({
        field: pathOf(`${path}.${name}`),
        reason: "FieldValueRequired",
        message: "Required value",
      });
    }
  }
}

type Report = (reason: FieldErrorReason, message: string) => void;

const pathOf = (path: string): string => path.replace(/^\./, "") || NO_PATH;

function reporter(path: string, errors: FieldError[]): Report {
  return (reason, message) => void errors.push({ field: pathOf(path), reason, message });
}

/** An error of the schema's alternatives names no field. */
const loose = (message: string): FieldError => ({
  field: NO_PATH,
  reason: "FieldValueInvalid",
  message: `Invalid value: "": ${message}`,
});

function merge(into: Outcome, other: Outcome): void {
  into.errors.push(...other.errors);
  into.matches += other.matches;
}

function best(tried: readonly Outcome[]): Outcome {
  return tried.reduce((a, b) => (b.matches > a.matches ? b : a));
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (isRawNumber(value) || typeof value === "number") return integerOf(value) === undefined ? "number" : "integer";
  return typeof value === "object" ? "object" : typeof value;
}

const typesOf = (schema: JSONSchemaProps): readonly string[] =>
  schema["x-kubernetes-int-or-string"] ? ["integer", "string"] : schema.type ? [schema.type] : [];

function formatOf({ format }: JSONSchemaProps): string {
  return format && isKnownFormat(format) ? format : "";
}

function checkNull(schema: JSONSchemaProps, path: string, report: Report): void {
  const types = typesOf(schema);
  if (types.length === 0 || types.includes("null") || schema.nullable) return;
  report("FieldValueTypeInvalid", `Invalid value: "null": ${path} in body must be of type ${types.join(",")}: "null"`);
}

function checkType(schema: JSONSchemaProps, value: unknown, type: string, path: string, report: Report): void {
  const types = typesOf(schema);
  const format = formatOf(schema);
  if (types.length === 0 && format === "") return;
  const isWhole = type === "number" && types.includes("integer") && Number.isInteger(Number(numberToken(value)));
  const fits = types.includes(type) || isWhole || (type === "integer" && types.includes("number"));
  const isTextOrList = type === "string" || type === "array";
  if (!isTextOrList && format !== "" && !fits) {
    // Upstream names the format that its own number has.
    const found = type === "integer" ? "int64" : type === "number" ? "float64" : "";
    report("FieldValueTypeInvalid", `Invalid value: "${found}": ${path} in body must be of type ${format}: "${found}"`);
    return;
  }
  const isNumeric = types.includes("number") || types.includes("integer");
  if ((!isNumeric && format !== "" && isTextOrList) || fits) return;
  const wanted = types.join(",");
  report("FieldValueTypeInvalid", `Invalid value: "${type}": ${path} in body must be of type ${wanted}: "${type}"`);
}

const patterns = new WeakMap<JSONSchemaProps, RE2JS | undefined>();

/** undefined: no pattern, or one that RE2 does not read (refused when the definition is written). */
function patternOf(schema: JSONSchemaProps): RE2JS | undefined {
  if (!patterns.has(schema)) patterns.set(schema, schema.pattern ? compiled(schema.pattern) : undefined);
  return patterns.get(schema);
}

function compiled(pattern: string): RE2JS | undefined {
  try {
    return RE2JS.compile(pattern);
  } catch {
    // Said when the definition was written.
    return undefined;
  }
}

/** Why RE2 does not read a pattern; undefined where it does. */
export function patternProblem(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function checkText(schema: JSONSchemaProps, text: string, path: string, report: Report): void {
  checkLength(schema, text, path, report);
  const format = formatOf(schema);
  if (format === "" || hasFormat(text, format)) return;
  const shown = JSON.stringify(text);
  report("FieldValueTypeInvalid", `Invalid value: ${shown}: ${path} in body must be of type ${format}: ${shown}`);
}

/** Only the first of these is said. */
function checkLength(schema: JSONSchemaProps, text: string, path: string, report: Report): void {
  const { minLength, maxLength, pattern } = schema;
  const length = maxLength === undefined && minLength === undefined ? 0 : [...text].length;
  if (maxLength !== undefined && length > maxLength) {
    report("FieldValueTooLong", `Too long: may not be more than ${maxLength} ${maxLength === 1 ? "byte" : "bytes"}`);
    return;
  }
  const invalid = (message: string): void =>
    report("FieldValueInvalid", `Invalid value: ${JSON.stringify(text)}: ${path} in body should ${message}`);
  if (minLength !== undefined && length < minLength) {
    invalid(`be at least ${minLength} chars long`);
    return;
  }
  const matcher = patternOf(schema);
  if (matcher && !matcher.matcher(text).find()) invalid(`match '${pattern}'`);
}

function checkNumber(schema: JSONSchemaProps, value: unknown, path: string, report: Report): void {
  const { maximum, minimum, exclusiveMaximum, exclusiveMinimum, multipleOf } = schema;
  const token = numberToken(value) ?? "0";
  const number = Number(token);
  const invalid = (message: string): void =>
    report("FieldValueInvalid", `Invalid value: ${token}: ${path} in body should be ${message}`);
  const factor = multipleOf === undefined ? undefined : factorFor(value, multipleOf);
  if (factor === 0) {
    report("FieldValueInvalid", `Invalid value: 0: factor MultipleOf declared for ${path} must be positive: 0`);
  } else if (factor !== undefined && !isMultiple(value, factor)) invalid(`a multiple of ${factor}`);
  if (maximum !== undefined && (exclusiveMaximum ? number >= maximum : number > maximum)) {
    invalid(`${exclusiveMaximum ? "less than" : "less than or equal to"} ${maximum}`);
  }
  if (minimum !== undefined && (exclusiveMinimum ? number <= minimum : number < minimum)) {
    invalid(`${exclusiveMinimum ? "greater than" : "greater than or equal to"} ${minimum}`);
  }
}

/** An integer is held against the whole part of the factor, as upstream: below 1 there is none. */
const factorFor = (value: unknown, factor: number): number =>
  integerOf(value) === undefined ? factor : Math.trunc(factor);

function isMultiple(value: unknown, factor: number): boolean {
  const integer = integerOf(value);
  if (integer !== undefined) return integer % BigInt(factor) === 0n;
  return isNearlyWhole(factor < 1 ? (1 / factor) * Number(value) : Number(value) / factor);
}

const NEXT_TO_NOTHING = 1e-9;

/** As go-openapi's swag judges: a positive number may exceed a whole one by what calculating with doubles adds to it. */
function isNearlyWhole(quotient: number): boolean {
  if (Math.abs(quotient) > Number.MAX_SAFE_INTEGER) return false;
  const whole = Math.trunc(quotient);
  return quotient === whole || (whole > 0 && (quotient - whole) / (quotient + whole) < NEXT_TO_NOTHING);
}

function checkEnum({ enum: allowed }: JSONSchemaProps, value: unknown, report: Report): void {
  if (!allowed || allowed.length === 0 || allowed.some((each) => equalJson(each, value))) return;
  const shown = typeof value === "string" ? JSON.stringify(value) : goJson(value ?? null);
  const list = allowed.map((each) => JSON.stringify(typeof each === "string" ? each : goJson(each)));
  report("FieldValueNotSupported", `Unsupported value: ${shown}: supported values: ${list.join(", ")}`);
}

/** Which item of the old list is the same one as an item of the new list. */
function correlator(schema: JSONSchemaProps, old: Old): (item: unknown) => Old {
  const keys = schema["x-kubernetes-list-map-keys"];
  if (!old || !Array.isArray(old.value) || schema["x-kubernetes-list-type"] !== "map" || !keys) return () => undefined;
  const before = new Map(old.value.map((item: unknown) => [keysOf(item, keys), item]));
  return (item) => {
    const id = keysOf(item, keys);
    return id !== undefined && before.has(id) ? { value: before.get(id) } : undefined;
  };
}
