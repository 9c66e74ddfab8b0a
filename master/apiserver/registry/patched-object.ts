/** What a patch makes of an object, and what is said of one that it does not fit. */
import type { DecodedDocument } from "#shared/api/codec/json.ts";
import { badRequest, invalid, StatusError } from "#shared/api/errors.ts";
import { apiVersionOf, type KubeObject } from "#shared/api/object.ts";
import { applyJsonPatch } from "#shared/api/patch/json-patch.ts";
import { copyObject, goEscaped, isJsonObject, type JsonObject, setMember } from "#shared/api/patch/json-value.ts";
import { applyLenientMergePatch, applyMergePatch } from "#shared/api/patch/merge-patch.ts";
import { goPrint } from "#shared/api/patch/strategic-list.ts";
import { applyStrategicMergePatch, strategicMergePatchUnsupported } from "#shared/api/patch/strategic-merge-patch.ts";
import { strictMessages } from "#shared/api/schema/strict-messages.ts";
import { compareBytes, goQuote } from "#shared/api/selector/go-quote.ts";
import { type Expected, type FieldValidation, objectOf, UnrecognizedBodyError } from "./decode-body.ts";
import type { PatchRequest } from "./patch.ts";
import { patchedDocument } from "./patch-faults.ts";

/** The object that a patch makes of another's JSON form. Throws StatusError for a patch that cannot be read or does not fit. */
export function patchedObject(
  patch: PatchRequest,
  live: JsonObject,
  expected: Expected,
  validation: FieldValidation,
  warnings: string[],
): KubeObject {
  const after = patched(patch, live, expected, validation);
  const document = patchedDocument(patch, after);
  return fitting(
    () =>
      versionless(patch, document, expected, validation, warnings) ??
      objectOf(document, expected, validation, warnings),
    patch,
    after,
  );
}

function patched(
  patch: PatchRequest,
  live: JsonObject,
  { schema, custom }: Expected,
  validation: FieldValidation,
): unknown {
  const { value } = patch.document;
  const isUnread = validation === "Ignore";
  switch (patch.type) {
    case "json":
      return applyJsonPatch(live, value, isUnread ? "lenient" : "strict");
    case "merge":
      return isUnread ? applyLenientMergePatch(live, value) : applyMergePatch(live, value);
    case "strategic":
      if (custom || !schema) throw strategicMergePatchUnsupported();
      return ofSameKind(applyStrategicMergePatch(live, value, schema), live);
    case "apply":
      throw badRequest("apply is no patch of a document");
  }
}

/** What a strategic patch says of kind and version does not matter: the result is read as what it was. */
function ofSameKind(after: JsonObject, { apiVersion, kind }: JsonObject): JsonObject {
  const isNamed = typeof after["apiVersion"] === "string" && typeof after["kind"] === "string";
  return isNamed ? { ...after, apiVersion, kind } : after;
}

/** What upstream reads of a typed object that a patch has taken its version from: it takes it for one of its own form, which knows no
 *  field by its name in JSON. */
function versionless(
  { type }: PatchRequest,
  document: DecodedDocument,
  { gvk, custom }: Expected,
  validation: FieldValidation,
  warnings: string[],
): KubeObject | undefined {
  const { value } = document;
  if (custom || type === "strategic" || !isJsonObject(value)) return undefined;
  const { apiVersion = "", kind = "" } = value;
  if (apiVersion !== "" || (kind !== "" && kind !== gvk.kind)) return undefined;
  const unknown = Object.keys(value).filter((key) => key !== "apiVersion" && key !== "kind");
  const strict =
    validation === "Ignore"
      ? undefined
      : strictMessages(document, { unknown: unknown.sort(compareBytes), opaque: [] }, "typed");
  if (strict && validation === "Strict") throw badRequest(strict.error);
  if (strict) warnings.push(...strict.warnings);
  return { apiVersion: apiVersionOf(gvk), kind: gvk.kind, metadata: {} };
}

/** What a patch has made of an object is judged as the patch's fault: Throws Invalid for the field `patch`. */
function fitting<T>(decode: () => T, { type, document }: PatchRequest, result: unknown): T {
  try {
    return decode();
  } catch (error) {
    if (!isBadRequest(error) && !(error instanceof UnrecognizedBodyError)) throw error;
    const why = reasonOf(error);
    const isStrategic = type === "strategic";
    const value = isStrategic ? goPrint(document.value) : goEscaped(inPatchedOrder(result, type, document.value));
    const message = `Invalid value: ${goQuote(value)}: ${isStrategic ? unconverted(why) : why}`;
    throw invalid({ group: "", kind: "" }, "", [{ field: "patch", reason: "FieldValueInvalid", message }]);
  }
}

/** Members in the order of their names as far as the patch looked: upstream writes maps there, and the rest as it was. */
function inPatchedOrder(result: unknown, type: PatchRequest["type"], patch: unknown): unknown {
  const looked = type === "merge" ? patch : lookedInto(patch);
  const ordered = (value: unknown, into: unknown): unknown => {
    if (!isJsonObject(value)) return value;
    const copy: JsonObject = {};
    for (const key of Object.keys(value).sort(compareBytes)) {
      const deeper = isJsonObject(into) && Object.hasOwn(into, key) ? into[key] : undefined;
      setMember(copy, key, isJsonObject(deeper) ? ordered(value[key], deeper) : value[key]);
    }
    return copy;
  };
  return ordered(result, looked);
}

/** The objects on the way of each operation, as a merge patch would name them. */
function lookedInto(operations: unknown): JsonObject {
  const looked: JsonObject = {};
  for (const operation of Array.isArray(operations) ? operations : []) {
    if (!isJsonObject(operation)) continue;
    for (const pointer of [operation["path"], operation["from"]]) {
      if (typeof pointer !== "string") continue;
      let at = looked;
      for (const token of pointer.split("/").slice(1, -1)) {
        const key = token.replaceAll("~1", "/").replaceAll("~0", "~");
        const next = Object.hasOwn(at, key) ? copyObject(at[key] as JsonObject) : {};
        setMember(at, key, next);
        at = next;
      }
    }
  }
  return looked;
}

/** Upstream fits the result of a strategic merge into its struct by another way than JSON, with words of its own. */
export function unconverted(why: string): string {
  const [, given = "", target = ""] = /cannot unmarshal (\w+)(?: [-\d.]+)? into Go .* of type (\S+)/.exec(why) ?? [];
  if (given === "") return why;
  const kinds: Readonly<Record<string, string>> = { array: "slice", object: "map", number: "int64" };
  const isFraction = /number -?\d*\.\d/.test(why);
  const from = given === "number" && isFraction ? "float64" : (kinds[given] ?? given);
  if (target.startsWith("[]")) return `cannot restore slice from ${from}`;
  if (target.startsWith("map[")) return `cannot restore map from ${from}`;
  if (!/^(string|bool|u?int\d*|float\d+)$/.test(target)) return `cannot restore struct from: ${from}`;
  return from === "int64" || from === "float64"
    ? `cannot convert ${from} to ${target}`
    : `unrecognized type: ${target}`;
}

export const isBadRequest = (error: unknown): error is StatusError =>
  error instanceof StatusError && error.reason === "BadRequest";

export const reasonOf = ({ message }: Error): string => message.replace(/^[^:]* cannot be handled as a [^:]*: /, "");
