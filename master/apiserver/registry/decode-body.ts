/** Bodies of requests: JSON, YAML, protobuf, or an object of an in-process client, all to one decoded form. */
import { type DecodedDocument, decodeJson, JsonSyntaxError } from "#shared/api/codec/json.ts";
import { decodeProtobuf, ProtobufError, protobufContentType } from "#shared/api/codec/protobuf.ts";
import { decodeYaml, YamlError } from "#shared/api/codec/yaml.ts";
import { badRequest, invalid, unsupportedMediaType } from "#shared/api/errors.ts";
import { apiVersionOf, type GroupVersionKind, type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import { cloneJson, isJsonObject, type JsonObject } from "#shared/api/patch/json-value.ts";
import type { Schema } from "#shared/api/schema/schema.ts";
import { DecodeError, normalizeObject, strictMessages } from "#shared/api/schema/validate-fields.ts";
import type { RequestBody } from "../request.ts";
import { dropNilFields } from "./absent-fields.ts";

export type FieldValidation = "Strict" | "Warn" | "Ignore";

/** A document without duplicates: what an object in memory is. */
export function documentOf(value: unknown): DecodedDocument {
  return { value, duplicates: [], positionOf: () => Infinity };
}

const mediaTypes = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/** Decodes by content type. Throws BadRequest for a body that does not parse, 415 for a type that is not known. */
export function decodeDocument(body: RequestBody, contentType: string | undefined): DecodedDocument {
  if (body.kind === "object") return documentOf(body.object);
  if (body.kind === "none") return documentOf(undefined);
  const type = mediaTypeOf(contentType);
  try {
    switch (type) {
      case "":
      case "application/json":
        return decodeJson(body.bytes);
      case "application/yaml":
        return decodeYaml(body.bytes);
      case protobufContentType:
        return documentOf(decodeProtobuf(body.bytes).value);
      default:
        throw unsupportedMediaType(
          `the body of the request was in an unknown format - accepted media types include: ${mediaTypes}`,
        );
    }
  } catch (error) {
    if (error instanceof JsonSyntaxError || error instanceof YamlError || error instanceof ProtobufError) {
      throw badRequest(error.message);
    }
    throw error;
  }
}

export const mediaTypeOf = (contentType: string | undefined): string =>
  (contentType ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";

export interface Expected {
  readonly gvk: GroupVersionKind;
  /** undefined: a free-form kind, kept as it is. */
  readonly schema: Schema | undefined;
  /** Words duplicates and unknown fields as for custom resources. */
  readonly custom: boolean;
}

/**
 * An object of the expected kind out of a document. Unknown and duplicate fields are refused, warned of, or dropped
 * silently. Throws BadRequest, worded as upstream does.
 */
export function objectOf(
  document: DecodedDocument,
  expected: Expected,
  validation: FieldValidation,
  warnings: string[],
): KubeObject {
  const { gvk } = expected;
  const value = document.value === undefined ? {} : document.value;
  if (!isJsonObject(value)) {
    throw badRequest(
      "couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct",
    );
  }
  checkKind(value, expected);
  const title = `${gvk.kind} in version ${JSON.stringify(gvk.version)} cannot be handled as a ${gvk.kind}`;
  const normalized = normalize(value, expected, title);
  const strict =
    validation === "Ignore"
      ? undefined
      : strictMessages(document, normalized.unknown, expected.custom ? "custom" : "typed");
  if (strict && validation === "Strict") throw badRequest(`${title}: ${strict.error}`);
  if (strict) warnings.push(...strict.warnings);
  const object = named(normalized.object, gvk);
  // An empty list asks to forget all managers; as Go would, normalising has left it out.
  if (asksToForgetManagers(value)) object.metadata.managedFields = [];
  return object;
}

function asksToForgetManagers({ metadata }: JsonObject): boolean {
  const entries = isJsonObject(metadata) ? metadata["managedFields"] : undefined;
  return Array.isArray(entries) && entries.length === 0;
}

function normalize(
  value: JsonObject,
  { schema }: Expected,
  title: string,
): { object: JsonObject; unknown: readonly string[] } {
  if (!schema) return { object: cloneJson(value) as JsonObject, unknown: [] };
  try {
    const normalized = normalizeObject(schema, value);
    if (schema.model !== undefined) dropNilFields(schema, normalized.object);
    return normalized;
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(`${title}: ${error.message}`);
    throw error;
  }
}

function checkKind(value: JsonObject, { gvk, custom }: Expected): void {
  const { apiVersion = "", kind = "" } = value;
  const expected = apiVersionOf(gvk);
  if (typeof apiVersion !== "string" || typeof kind !== "string") {
    throw badRequest(
      "couldn't get version/kind; json parse error: json: cannot unmarshal into Go struct field of type string",
    );
  }
  if (kind !== "" && kind !== gvk.kind) {
    const given = apiVersion === "" ? expected : apiVersion;
    // Kinds of custom resources are not known before their objects are validated.
    if (custom && given === expected) {
      const message = `Invalid value: ${JSON.stringify(kind)}: must be ${gvk.kind}`;
      throw invalid(gvk, nameIn(value), [{ field: "kind", reason: "FieldValueInvalid", message }]);
    }
    throw badRequest(
      given === expected
        ? `${kind} in version ${JSON.stringify(parseApiVersion(given).version)} cannot be handled as a ${gvk.kind}: no kind "${kind}" is registered for this resource`
        : `the API version in the data (${given}) does not match the expected API version (${expected})`,
    );
  }
  if (apiVersion !== "" && apiVersion !== expected) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`,
    );
  }
}

function nameIn({ metadata }: JsonObject): string {
  const name = isJsonObject(metadata) ? metadata["name"] : undefined;
  return typeof name === "string" ? name : "";
}

function named(object: JsonObject, gvk: GroupVersionKind): KubeObject {
  object["apiVersion"] = apiVersionOf(gvk);
  object["kind"] = gvk.kind;
  object["metadata"] ??= {};
  return object as unknown as KubeObject;
}

/** The canonical form of a draft: what is compared and stored. Drops what became empty and orders the fields. */
export function canonical(draft: KubeObject, schema: Schema | undefined): KubeObject {
  if (!schema) return draft;
  const gvk = { ...parseApiVersion(draft.apiVersion), kind: draft.kind };
  const { object } = normalizeObject(schema, draft);
  if (schema.model !== undefined) dropNilFields(schema, object);
  return named(object, gvk);
}
