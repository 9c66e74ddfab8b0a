/**
 * JSON merge patch (RFC 7386, `application/merge-patch+json`), as the evanphx/json-patch v4 that upstream uses does it:
 * nulls inside arrays' objects are dropped where the array is new in the document.
 */
import { badRequest, type StatusError } from "../errors.ts";
import { copyObject, isJsonObject, type JsonObject, member, setMember, withoutNulls } from "./json-value.ts";
import { jsonKind } from "./patch-error.ts";

/** The object with the patch merged in; neither argument is changed. Throws BadRequest for a patch that is no object. */
export function applyMergePatch(object: JsonObject, patch: unknown): JsonObject {
  if (isJsonObject(patch)) return mergeObjects(object, patch);
  if (patch === null || patch === undefined) throw invalidMergePatch();
  throw badRequest(
    `error decoding patch: json: cannot unmarshal ${jsonKind(patch)} into Go value of type map[string]interface {}`,
  );
}

/** The same of a patch that nobody looks through beforehand: a list takes the object's place. */
export function applyLenientMergePatch(object: JsonObject, patch: unknown): unknown {
  if (isJsonObject(patch)) return mergeObjects(object, patch);
  if (Array.isArray(patch)) return withoutNulls(patch);
  throw invalidMergePatch();
}

export const invalidMergePatch = (): StatusError => badRequest("Invalid JSON Patch");

function mergeObjects(object: JsonObject, patch: JsonObject): JsonObject {
  const merged = copyObject(object);
  for (const key of Object.keys(patch)) {
    const value = patch[key];
    if (value === null) {
      delete merged[key];
      continue;
    }
    const present = member(merged, key);
    let result: unknown;
    if (present === undefined || present === null) result = withoutNulls(value);
    else if (!isJsonObject(present)) result = withoutNulls(value);
    else result = isJsonObject(value) ? mergeObjects(present, value) : value;
    setMember(merged, key, result);
  }
  return merged;
}
