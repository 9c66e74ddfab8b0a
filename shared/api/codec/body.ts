/** Request bodies of the three media types, with the kind that they say they are. */
import type { GroupVersionKind } from "../object.ts";
import { apiVersionOf, parseApiVersion } from "../object.ts";
import { jsonTypeName } from "../schema/scalars.ts";
import { type DecodedDocument, decodeJson, JsonSyntaxError } from "./json.ts";
import { decodeProtobuf, protobufContentType } from "./protobuf.ts";
import { decodeYaml } from "./yaml.ts";

export const bodyMediaTypes = ["application/json", "application/yaml", protobufContentType] as const;
export type BodyMediaType = (typeof bodyMediaTypes)[number];

/** A body that is no object with a kind; the message is upstream's, without the reason for the refusal around it. */
export class BodyError extends Error {
  override readonly name = "BodyError";
}

export interface DecodedBody extends DecodedDocument {
  /** As the body says, completed by the defaults; apiVersion and kind of `value` are those too. */
  readonly gvk: GroupVersionKind;
  readonly value: Record<string, unknown>;
}

/**
 * Decodes a body and finds out its kind, which `defaults` completes where the body names none. What Go's decoder would
 * say about fields follows from `normalizeObject` and `strictMessages`. Throws BodyError, JsonSyntaxError, YamlError or
 * ProtobufError; `refusal` words all of them.
 */
export function decodeBody(body: Uint8Array, mediaType: BodyMediaType, defaults?: GroupVersionKind): DecodedBody {
  if (mediaType === protobufContentType) {
    return { ...decodeProtobuf(body, defaults), duplicates: [], positionOf: () => Number.POSITIVE_INFINITY };
  }
  const document = mediaType === "application/yaml" ? decodeYaml(body) : decodeJsonBody(body);
  const { value } = document;
  if (value === null && mediaType === "application/yaml") throw missing("Kind", "null");
  const typeMeta = interpret(value);
  const gvk = completeKind(typeMeta, defaults);
  if (gvk.kind === "") throw missing("Kind", textOf(body));
  if (gvk.version === "") throw missing("apiVersion", textOf(body));
  const object = value as Record<string, unknown>;
  const isComplete = typeMeta.kind === gvk.kind && typeMeta.apiVersion === apiVersionOf(gvk);
  return {
    gvk,
    value: isComplete ? object : { ...object, kind: gvk.kind, apiVersion: apiVersionOf(gvk) },
    duplicates: document.duplicates,
    earlier: document.earlier,
    positionOf: document.positionOf,
  };
}

function decodeJsonBody(body: Uint8Array): DecodedDocument {
  try {
    return decodeJson(body);
  } catch (cause) {
    if (cause instanceof JsonSyntaxError) throw unreadable(cause.message, cause);
    throw cause;
  }
}

function interpret(value: unknown): { apiVersion: string; kind: string } {
  const type = jsonTypeName(value);
  if (value === null) return { apiVersion: "", kind: "" };
  if (type !== "object") {
    const goType =
      'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';
    throw unreadable(`json: cannot unmarshal ${type} into Go value of type ${goType}`);
  }
  const { apiVersion = "", kind = "" } = value as { apiVersion?: unknown; kind?: unknown };
  return { apiVersion: textField("apiVersion", apiVersion), kind: textField("kind", kind) };
}

function textField(name: string, value: unknown): string {
  if (value === null) return "";
  if (typeof value === "string") return value;
  throw unreadable(`json: cannot unmarshal ${jsonTypeName(value)} into Go struct field .${name} of type string`);
}

function completeKind(
  { apiVersion, kind }: { apiVersion: string; kind: string },
  defaults: GroupVersionKind | undefined,
): GroupVersionKind {
  const { group, version } = parseApiVersion(apiVersion);
  if (version === "" && group === "" && defaults) {
    return { group: defaults.group, version: defaults.version, kind: kind || defaults.kind };
  }
  return { group, version, kind: kind || (defaults?.kind ?? "") };
}

function unreadable(message: string, cause?: unknown): BodyError {
  return new BodyError(`couldn't get version/kind; json parse error: ${message}`, { cause });
}

function missing(field: string, body: string): BodyError {
  return new BodyError(`Object '${field}' is missing in '${body}'`);
}

function textOf(body: Uint8Array): string {
  return new TextDecoder().decode(body);
}

/**
 * Message of the BadRequest for a body that could not be decoded: with the kind when it is known, else with the
 * beginning of the body, in hexadecimal unless it looks like JSON.
 */
export function refusal(
  message: string,
  expectedKind: string,
  found: { gvk: GroupVersionKind } | { body: Uint8Array },
): string {
  if ("gvk" in found) {
    const { gvk } = found;
    return `${gvk.kind} in version ${JSON.stringify(gvk.version)} cannot be handled as a ${expectedKind}: ${message}`;
  }
  return `the object provided is unrecognized (must be of type ${expectedKind}): ${message} (${summary(found.body)})`;
}

const summaryBytes = 30;

function summary(body: Uint8Array): string {
  if (body.length === 0) return "<empty>";
  const start = Buffer.from(body.subarray(0, summaryBytes));
  const text = body[0] === 0x7b ? start.toString("utf8") : start.toString("hex");
  return body.length > summaryBytes ? `${text} ...` : text;
}
