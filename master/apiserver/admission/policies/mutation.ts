/** What the value of a mutation's expression makes of an object (apiserver's policy/mutating/patch). Pure. */
import { internalError, StatusError } from "#shared/api/errors.ts";
import { messageOf } from "#shared/api/joined-errors.ts";
import { ConfigurationMisfit, mergedConfiguration } from "#shared/api/managed-fields/index.ts";
import { apiVersionOf, type GroupVersionKind, type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import { applyJsonPatch } from "#shared/api/patch/json-patch.ts";
import { isJsonObject, type JsonObject } from "#shared/api/patch/json-value.ts";
import { type Schema, schemaFor } from "#shared/api/schema/schema.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import {
  CelError,
  isOpaque,
  List,
  MapValue,
  ObjectValue,
  Optional,
  TypeValue,
  toJson,
  Uint,
  type Value,
} from "#shared/cel/values.ts";
import { documentOf, objectOf } from "../../registry/decode-body.ts";
import { isBadRequest, reasonOf, unconverted } from "../../registry/patched-object.ts";
import { CustomKindError, checkCustomKind, otherKind } from "../patched-kind.ts";
import { headOf } from "../webhooks/review-decoding.ts";

/** A mutation that comes to nothing: whether that refuses the request is for the failure policy to say. */
export class MutationError extends Error {
  override readonly name = "MutationError";
}

/** The object as it is shown to the policy. */
export interface Mutated {
  readonly shown: KubeObject;
  readonly schema: Schema | undefined;
  readonly custom: boolean;
  /** Whether its type is published with its group: those of Scales, evictions and options of connections are not. */
  readonly isPublished: boolean;
}

/** The object with a configuration merged in. Throws MutationError. */
export function configured(value: Value, { shown, schema, custom, isPublished }: Mutated): KubeObject {
  if (!(value instanceof ObjectValue))
    throw new MutationError("unsupported return type from ApplyConfiguration expression");
  checkTypeNames(value);
  const { apiVersion, kind } = shown;
  const gvk = { ...parseApiVersion(apiVersion), kind };
  const named = `${gvk.group}/${gvk.version}, Kind=${kind}`;
  if (!isPublished)
    throw new MutationError(
      `error applying patch: failed to convert patch object to typed object: no corresponding type for ${named}`,
    );
  const configuration = { ...plainObject(value), apiVersion, kind };
  let merged: JsonObject;
  try {
    merged = mergedConfiguration(shown as unknown as JsonObject, configuration, schema);
  } catch (error) {
    if (error instanceof ConfigurationMisfit) throw new MutationError(`error applying patch: ${error.message}`);
    throw error;
  }
  if (custom) return merged as unknown as KubeObject;
  try {
    return objectOf(documentOf(merged), { gvk, schema, custom }, "Ignore", []);
  } catch (error) {
    if (!isBadRequest(error)) throw error;
    throw new MutationError(`unable to convert unstructured object to ${named}: ${unconverted(reasonOf(error))}`);
  }
}

/**
 * The object with a patch applied; undefined where one of its tests fails. Throws MutationError for a patch that does not apply,
 * and StatusError or CustomKindError, whatever the failure policy says, where the outcome is no object of the kind any more.
 */
export function patchedBy(value: Value, mutated: Mutated): KubeObject | undefined {
  let patched: unknown;
  try {
    patched = applyJsonPatch(mutated.shown as unknown as JsonObject, operationsOf(value));
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    const { cause } = error.options;
    const why = cause instanceof Error ? cause.message : error.message;
    if (/^testing value .* failed: test failed$/s.test(why)) return undefined;
    throw new MutationError(`JSON Patch: ${why}`);
  }
  try {
    return mutated.custom ? customObject(patched, mutated.shown) : builtInObject(patched, mutated);
  } catch (error) {
    if (error instanceof CustomKindError || (error instanceof StatusError && !isBadRequest(error))) throw error;
    const why = isBadRequest(error) ? reasonOf(error) : messageOf(error);
    throw internalError(why, error);
  }
}

function customObject(patched: unknown, shown: KubeObject): KubeObject {
  checkCustomKind(patched, shown);
  return patched as KubeObject;
}

function builtInObject(patched: unknown, { shown, schema, custom }: Mutated): KubeObject {
  const kind = (isJsonObject(patched) && headOf(patched, "kind")) || shown.kind;
  const apiVersion = (isJsonObject(patched) && headOf(patched, "apiVersion")) || shown.apiVersion;
  const gvk: GroupVersionKind = { ...parseApiVersion(apiVersion), kind };
  if (apiVersionOf(gvk) === shown.apiVersion && kind === shown.kind)
    return objectOf(documentOf(patched), { gvk, schema, custom }, "Strict", []);
  const other = schemaFor(gvk);
  if (!other) throw otherKind(kind, apiVersion, shown);
  objectOf(documentOf(patched), { gvk, schema: other, custom }, "Strict", []);
  throw new Error(`failed to convert object: ${otherKind(kind, apiVersion, shown).message}`);
}

/** Throws MutationError. */
function operationsOf(value: Value): JsonObject[] {
  if (!(value instanceof List))
    throw new MutationError("type mismatch: JSONPatchType.expression should evaluate to array");
  return [...value.values()].map((each) => {
    if (!(each instanceof ObjectValue))
      throw new MutationError("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch");
    const [op, path, from, given] = ["op", "path", "from", "value"].map((name) => each.get(name));
    if (given instanceof ObjectValue) checkTypeNames(given);
    return {
      op: op ?? "",
      path: path ?? "",
      ...(from ? { from } : {}),
      ...(given === undefined ? {} : { value: exactly(given) }),
    } as JsonObject;
  });
}

/** Throws MutationError for what JSON cannot say, and for maps whose keys are no texts. */
function plainObject(value: ObjectValue): JsonObject {
  const check = (each: Value): void => {
    if (each instanceof List) for (const item of each.values()) check(item);
    if (!(each instanceof MapValue)) return;
    for (const [key, field] of each.entries()) {
      if (typeof key !== "string") throw unreadable();
      check(field);
    }
  };
  check(value);
  try {
    return toJson(value) as JsonObject;
  } catch (error) {
    throw error instanceof CelError ? unreadable() : error;
  }
}

const unreadable = (): MutationError => new MutationError("invalid return type: *dynamic.ObjectVal");

/** As JSON, where integers that a double does not hold are texts: protobuf's values have no other numbers. Throws MutationError. */
function exactly(value: Value, isInObject = false): unknown {
  const integer = value instanceof Uint ? value.value : value;
  if (typeof integer === "bigint") {
    const number = Number(integer);
    return Number.isSafeInteger(number) ? number : String(integer);
  }
  if (value === null && isInObject) throw unmarshalled("proto: invalid type: structpb.NullValue");
  if (value instanceof TypeValue) throw unmarshalled("type conversion not supported for 'type'");
  if (isOpaque(value)) {
    const name = value.opaqueType.split(".").at(-1) ?? "";
    throw unmarshalled(`type conversion error from '${name}' to '*structpb.Value'`);
  }
  if (value instanceof List) return [...value.values()].map((each) => exactly(each, isInObject));
  if (value instanceof MapValue) {
    const isWithin = isInObject || value instanceof ObjectValue;
    return Object.fromEntries(
      [...value.entries()].map(([key, each]) => [String(toJson(key)), exactly(each, isWithin)]),
    );
  }
  return value instanceof Optional && value.value !== undefined ? exactly(value.value, isInObject) : toJson(value);
}

const unmarshalled = (why: string): MutationError =>
  new MutationError(`JSONPath valueExpression evaluated to a type that could not marshal to JSON: ${why}`);

/** Types of objects are named by the fields in which they stand; lists and maps between have no name. Throws MutationError. */
function checkTypeNames(value: ObjectValue): void {
  const faults: string[] = [];
  const check = (each: Value, path: string): void => {
    if (each instanceof ObjectValue && each.typeName !== path)
      faults.push(
        `unexpected type name ${goQuote(each.typeName)}, expected ${goQuote(path)}, which matches field name path from root Object type`,
      );
    if (each instanceof ObjectValue) for (const [key, field] of each.entries()) check(field, `${path}.${String(key)}`);
    else if (each instanceof List) for (const item of each.values()) check(item, path);
    else if (each instanceof MapValue) for (const [, item] of each.entries()) check(item, path);
  };
  check(value, value.typeName);
  if (faults.length > 0) throw new MutationError(`type mismatch: ${faults.join("\n")}`);
}
