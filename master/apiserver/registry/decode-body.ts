/** Bodies of requests: JSON, YAML, protobuf, or an object of an in-process client, all to one decoded form. */
import { type DecodedDocument, decodeJson, JsonSyntaxError } from "#shared/api/codec/json.ts";
import { decodeProtobuf, ProtobufError, protobufContentType } from "#shared/api/codec/protobuf.ts";
import { decodeYaml, YamlError } from "#shared/api/codec/yaml.ts";
import { badRequest, invalid, type StatusError, unsupportedMediaType } from "#shared/api/errors.ts";
import { apiVersionOf, type GroupVersionKind, type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import { cloneJson, isJsonObject, type JsonObject } from "#shared/api/patch/json-value.ts";
import { jsonKind } from "#shared/api/patch/patch-error.ts";
import { DecodeError, type NormalizedObject, normalizeObject } from "#shared/api/schema/normalize-object.ts";
import { type Schema, schemaFor } from "#shared/api/schema/schema.ts";
import { strictMessages } from "#shared/api/schema/strict-messages.ts";
import type { RequestBody } from "../request.ts";
import { dropEmptyLists, dropNilFields } from "./absent-fields.ts";

export type FieldValidation = "Strict" | "Warn" | "Ignore";

/** A document to make an object of. */
export interface GivenDocument extends DecodedDocument {
  /** Nobody else has it: what needs no change becomes part of the object. */
  readonly isOwned?: boolean;
}

/** A document without duplicates: what an object in memory is. */
export function documentOf(value: unknown): DecodedDocument {
  return { value, duplicates: [], positionOf: () => Infinity };
}

const mediaTypes = ["application/json", "application/yaml", protobufContentType];
const decodedTypes: ReadonlySet<string> = new Set(["", ...mediaTypes]);

const unknownFormat = (): StatusError =>
  unsupportedMediaType(
    `the body of the request was in an unknown format - accepted media types include: ${mediaTypes.join(", ")}`,
  );

/** A body in which no object of any kind is to be seen. */
export class UnrecognizedBodyError extends Error {
  override readonly name = "UnrecognizedBodyError";
}

/** Throws 415 for a content type that is not known. */
export function requireDecodable(contentType: string | undefined): void {
  if (!isMediaType(contentType) || !decodedTypes.has(mediaTypeOf(contentType))) throw unknownFormat();
}

/** Decodes by content type. Throws UnrecognizedBodyError for a body that does not parse, 415 for a type that is not known.
 *  @param fallback the kind of a protobuf body that names none */
export function decodeDocument(
  body: RequestBody,
  contentType: string | undefined,
  fallback?: GroupVersionKind,
): DecodedDocument {
  if (body.kind === "object") return documentOf(body.object);
  const bytes = body.kind === "none" ? new Uint8Array() : body.bytes;
  const type = isMediaType(contentType) ? mediaTypeOf(contentType) : undefined;
  try {
    switch (type) {
      case "":
      case "application/json":
        return decodeJson(bytes);
      case "application/yaml":
        return yamlOf(body);
      case protobufContentType:
        return documentOf(decodeProtobuf(bytes, fallback).value);
      default:
        throw unknownFormat();
    }
  } catch (error) {
    if (error instanceof JsonSyntaxError) {
      throw new UnrecognizedBodyError(`couldn't get version/kind; json parse error: ${error.message}`, {
        cause: error,
      });
    }
    if (error instanceof YamlError || error instanceof ProtobufError)
      throw new UnrecognizedBodyError(error.message, { cause: error });
    throw error;
  }
}

/** Throws YamlError. */
export function yamlOf(body: Exclude<RequestBody, { readonly kind: "object" }>): DecodedDocument {
  if (body.kind === "none") return decodeYaml("");
  if (body.yaml instanceof YamlError) throw body.yaml;
  return body.yaml ?? decodeYaml(body.bytes);
}

/**
 * The object of the expected kind in a request's body. Throws BadRequest, worded as upstream does, or 415 for a content
 * type that is not known.
 */
export function decodeObject(
  body: RequestBody,
  contentType: string | undefined,
  expected: Expected,
  validation: FieldValidation,
  warnings: string[],
): KubeObject {
  try {
    const document = decodeDocument(body, contentType, expected.gvk);
    if (expected.custom && body.kind !== "object") requireType(document.value, body, apiVersionOf(expected.gvk));
    return objectOf({ ...document, isOwned: body.kind === "bytes" }, expected, validation, warnings);
  } catch (error) {
    if (!(error instanceof UnrecognizedBodyError)) throw error;
    const { kind } = expected.gvk;
    throw badRequest(
      `the object provided is unrecognized (must be of type ${kind}): ${error.message} (${beginningOf(body)})`,
    );
  }
}

/** Of a custom object neither kind nor version is assumed. */
function requireType(value: unknown, body: Exclude<RequestBody, { readonly kind: "object" }>, expected: string): void {
  if (value !== null && value !== undefined && !isJsonObject(value)) return;
  const { apiVersion, kind }: JsonObject = value ?? {};
  if (isUnfitVersion(apiVersion)) return;
  if ((kind ?? "") === "") {
    const text = body.kind === "bytes" ? Buffer.from(body.bytes).toString() : "";
    throw new UnrecognizedBodyError(`Object 'Kind' is missing in '${text}'`);
  }
  if ((apiVersion ?? "") === "" && typeof kind === "string")
    throw badRequest(`the API version in the data () does not match the expected API version (${expected})`);
}

/** One that is complained of before what is missing. */
const isUnfitVersion = (apiVersion: unknown): boolean =>
  (apiVersion ?? "") !== "" && (typeof apiVersion !== "string" || apiVersion.split("/").length > 2);

const SHOWN_BYTES = 30;

/** How a body begins, for people: JSON as text, all else in hexadecimal. */
function beginningOf(body: RequestBody): string {
  const bytes = Buffer.from(body.kind === "bytes" ? body.bytes : new Uint8Array());
  if (bytes.length === 0) return "<empty>";
  const shown = bytes.subarray(0, SHOWN_BYTES);
  const text = bytes[0] === "{".charCodeAt(0) ? shown.toString() : shown.toString("hex");
  return bytes.length > SHOWN_BYTES ? `${text} ...` : text;
}

/** Whether it is a type with parameters that have values, if any, or none at all: Go's mime.ParseMediaType. */
const isMediaType = (contentType = ""): boolean =>
  contentType === "" ||
  (mediaTypeOf(contentType) !== "" &&
    contentType
      .split(";")
      .slice(1)
      .every((each) => each.trim() === "" || /^[^\s=]+=("[^"]*"|[^\s"]+)$/.test(each.trim())));

export const mediaTypeOf = (contentType: string | undefined): string =>
  (contentType ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";

export interface Expected {
  readonly gvk: GroupVersionKind;
  /** undefined: a free-form kind, kept as it is. */
  readonly schema: Schema | undefined;
  /** Words duplicates and unknown fields as for custom resources. */
  readonly custom: boolean;
  /** Versions that are not served any more, whose objects read like those of the expected one. */
  readonly formerVersions?: readonly string[] | undefined;
}

/**
 * An object of the expected kind out of a document. Unknown and duplicate fields are refused, warned of, or dropped
 * silently. Throws BadRequest, worded as upstream does, and UnrecognizedBodyError for what is no object at all.
 */
export function objectOf(
  document: GivenDocument,
  expected: Expected,
  validation: FieldValidation,
  warnings: string[],
): KubeObject {
  const { gvk } = expected;
  const value = document.value ?? {};
  if (!isJsonObject(value)) throw notDecodedAs(value, `Go value of type ${typeMeta}`);
  checkKind(value, expected);
  const title = `${gvk.kind} in version ${JSON.stringify(gvk.version)} cannot be handled as a ${gvk.kind}`;
  const normalized = normalize(value, document, expected, title);
  const strict =
    validation === "Ignore" ? undefined : strictMessages(document, normalized, expected.custom ? "custom" : "typed");
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
  { earlier, isOwned = false }: GivenDocument,
  { schema }: Expected,
  title: string,
): NormalizedObject {
  if (!schema) {
    const object = isOwned ? value : (cloneJson(value) as JsonObject);
    return { object, unknown: [], pruned: new Set(), opaque: [] };
  }
  try {
    const normalized = normalizeObject(schema, value, { earlier, isOwned });
    if (schema.model !== undefined) dropNilFields(schema, normalized.object);
    return normalized;
  } catch (error) {
    if (error instanceof DecodeError) throw badRequest(`${title}: ${error.message}`);
    throw error;
  }
}

/** The Go type that apiVersion and kind of any object are read into. */
const typeMeta =
  'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

const notDecodedAs = (value: unknown, target: string): UnrecognizedBodyError =>
  new UnrecognizedBodyError(
    `couldn't get version/kind; json parse error: json: cannot unmarshal ${jsonKind(value)} into ${target}`,
  );

function checkKind(value: JsonObject, { gvk, custom, formerVersions = [] }: Expected): void {
  const apiVersion = value["apiVersion"] ?? "";
  const kind = value["kind"] ?? "";
  if (typeof apiVersion !== "string") throw notDecodedAs(apiVersion, "Go struct field .apiVersion of type string");
  if (typeof kind !== "string") throw notDecodedAs(kind, "Go struct field .kind of type string");
  if (apiVersion.split("/").length > 2)
    throw new UnrecognizedBodyError(`unexpected GroupVersion string: ${apiVersion}`);
  const expected = apiVersionOf(gvk);
  const given = apiVersion === "" ? expected : apiVersionOf(parseApiVersion(apiVersion));
  const givenKind = kind === "" ? gvk.kind : kind;
  const versions = [expected, ...formerVersions.map((version) => apiVersionOf({ ...gvk, version }))];
  if (versions.includes(given) && givenKind === gvk.kind) return;
  // Kinds of custom resources are not known before their objects are validated.
  if (custom && given === expected) {
    const message = `Invalid value: ${JSON.stringify(kind)}: must be ${gvk.kind}`;
    throw invalid({ ...gvk, kind }, nameIn(value), [{ field: "kind", reason: "FieldValueInvalid", message }]);
  }
  const why = custom ? undefined : unfitKind({ ...parseApiVersion(given), kind: givenKind }, gvk);
  if (why !== undefined) {
    const version = JSON.stringify(parseApiVersion(given).version);
    throw badRequest(`${givenKind} in version ${version} cannot be handled as a ${gvk.kind}: ${why}`);
  }
  throw badRequest(`the API version in the data (${given}) does not match the expected API version (${expected})`);
}

/** Why an object cannot become one of the expected kind, whatever its version. */
function unfitKind(given: GroupVersionKind, expected: GroupVersionKind): string | undefined {
  if (!schemaFor(given)) {
    const version = JSON.stringify(apiVersionOf(given));
    return `no kind ${JSON.stringify(given.kind)} is registered for version ${version} in scheme "pkg/runtime/scheme.go:111"`;
  }
  if (given.kind === expected.kind) return undefined;
  const internal = expected.group === "" ? "core" : (expected.group.split(".")[0] ?? "");
  return `converting (${given.version}.${given.kind}) to (${internal}.${expected.kind}): unknown conversion`;
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

/** The canonical form of a draft, which is given away: what is compared and stored. Drops what became empty and orders the fields. */
export function canonical(draft: KubeObject, schema: Schema | undefined): KubeObject {
  if (!schema) return draft;
  const gvk = { ...parseApiVersion(draft.apiVersion), kind: draft.kind };
  const { object } = normalizeObject(schema, draft, { isOwned: true });
  if (schema.model !== undefined) {
    dropNilFields(schema, object);
    dropEmptyLists(schema, object);
  }
  return named(object, gvk);
}
