/** An AdmissionReview as Go's decoder takes it from a webhook: whether it is one of the version asked for, and whether each
 *  field of its response is of its type. Errors are in upstream's words. */
import { parseApiVersion } from "#shared/api/object.ts";
import { isJsonObject } from "#shared/api/patch/json-value.ts";
import { jsonKind } from "#shared/api/patch/patch-error.ts";
import { DecodeError, normalizeObject } from "#shared/api/schema/normalize-object.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { ReviewVersion } from "./admission-review.ts";

/** Of an answer that cannot be decoded. */
export class ReviewDecodingError extends Error {
  override readonly name = "ReviewDecodingError";
}

const typeMeta = String.raw`struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }`;
const scheme = "pkg/runtime/scheme.go:111";

/** The response, and the kind and version as they stand there. `response` is undefined where there is none. Throws
 *  ReviewDecodingError. */
export function decodedReview(
  review: unknown,
  version: ReviewVersion,
): { readonly kind: string; readonly apiVersion: string; readonly response: Record<string, unknown> | undefined } {
  if (review === null) return { kind: "", apiVersion: "", response: undefined };
  if (!isJsonObject(review)) throw notAnObject(review);
  const kind = headOf(review, "kind");
  const apiVersion = headOf(review, "apiVersion");
  checkKind(kind, apiVersion, version);
  const response = review["response"] ?? undefined;
  if (response !== undefined && !isJsonObject(response))
    throw mistyped(response, "AdmissionReview.response", `${version}.AdmissionResponse`);
  if (response) checkTypes(response, version);
  return { kind, apiVersion, response };
}

/** Of a document that is none with a kind. */
export const notAnObject = (value: unknown): Error =>
  unrecognized(`cannot unmarshal ${jsonKind(value)} into Go value of type ${typeMeta}`);

export const unregistered = (kind: string, apiVersion: string): Error =>
  new ReviewDecodingError(
    `no kind ${goQuote(kind)} is registered for version ${goQuote(apiVersion)} in scheme "${scheme}"`,
  );

/** @returns text; empty where it is not there. Throws for a value of another type. */
export function headOf(review: Readonly<Record<string, unknown>>, field: "kind" | "apiVersion"): string {
  const value = review[field] ?? "";
  if (typeof value === "string") return value;
  throw unrecognized(`cannot unmarshal ${jsonKind(value)} into Go struct field .${field} of type string`);
}

const unrecognized = (why: string): Error =>
  new ReviewDecodingError(`couldn't get version/kind; json parse error: json: ${why}`);

/** What is not said is taken as asked for. */
function checkKind(givenKind: string, givenVersion: string, asked: ReviewVersion): void {
  if (givenVersion.split("/").length > 2)
    throw new ReviewDecodingError(`unexpected GroupVersion string: ${givenVersion}`);
  const kind = givenKind || "AdmissionReview";
  const apiVersion = givenVersion || `admission.k8s.io/${asked}`;
  const { group, version } = parseApiVersion(apiVersion);
  const isReview =
    kind === "AdmissionReview" && group === "admission.k8s.io" && (version === "v1" || version === "v1beta1");
  if (isReview && version === asked) return;
  const isKnown = isReview || (kind === "Status" && apiVersion === "v1");
  if (!isKnown) throw unregistered(kind, apiVersion);
  throw new ReviewDecodingError(`converting (${version}.${kind}) to (${asked}.AdmissionReview): unknown conversion`);
}

const fieldTypes = (version: ReviewVersion) =>
  [
    ["uid", "string", "types.UID"],
    ["allowed", "boolean", "bool"],
    ["status", "object", "v1.Status"],
    ["patch", "string", "[]uint8"],
    ["patchType", "string", `${version}.PatchType`],
    ["auditAnnotations", "texts", "map[string]string"],
    ["warnings", "list", "[]string"],
  ] as const;

function checkTypes(response: Readonly<Record<string, unknown>>, version: ReviewVersion): void {
  for (const [field, wanted, goType] of fieldTypes(version)) {
    const value = response[field] ?? undefined;
    if (value === undefined) continue;
    const at = `AdmissionResponse.response.${field}`;
    if (shapeOf(value, wanted) !== wanted) throw mistyped(value, at, goType);
    const inner = wanted === "list" || wanted === "texts" ? Object.values(value) : [];
    for (const each of inner) if (each !== null && typeof each !== "string") throw mistyped(each, at, "string");
    if (field === "patch") checkBase64(value as string);
    if (field === "status") checkStatus(value);
  }
}

function checkStatus(status: unknown): void {
  const schema = schemaFor({ group: "", version: "v1", kind: "Status" });
  try {
    if (schema) normalizeObject(schema, status);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new ReviewDecodingError(error.message.replace(/(?<=Go struct field \w+\.)/, "response.status."));
  }
}

function shapeOf(value: unknown, wanted: string): string {
  if (Array.isArray(value)) return "list";
  return isJsonObject(value) && wanted === "texts" ? "texts" : typeof value;
}

const mistyped = (value: unknown, field: string, goType: string): Error =>
  new ReviewDecodingError(`json: cannot unmarshal ${jsonKind(value)} into Go struct field ${field} of type ${goType}`);

/** Line breaks are no part of it. Throws with the place where it ends to be base64. */
function checkBase64(text: string): void {
  const valid = /^(?:[A-Za-z0-9+/][\r\n]*)*/.exec(text)?.[0] ?? "";
  const rest = text.slice(valid.length);
  const digits = valid.replace(/[\r\n]/g, "").length;
  const padding = rest.replace(/[\r\n]/g, "");
  if (isPadded(digits, padding)) return;
  throw new ReviewDecodingError(`illegal base64 data at input byte ${valid.length}`);
}

const isPadded = (digits: number, padding: string): boolean =>
  (digits % 4 === 0 && padding === "") ||
  (digits % 4 === 2 && padding === "==") ||
  (digits % 4 === 3 && padding === "=");
