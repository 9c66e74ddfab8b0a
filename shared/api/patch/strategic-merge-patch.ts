/**
 * Strategic merge patch (`application/strategic-merge-patch+json`) of built-in kinds: lists of objects merge by the merge
 * key that the type declares, and directives in the patch say what a plain merge cannot: `$patch`, `$retainKeys`,
 * `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`. Follows apimachinery pkg/util/strategicpatch; custom
 * resources have no such facts and refuse it.
 */
import { numberToken } from "../codec/number.ts";
import { badRequest, type StatusError, unsupportedMediaType } from "../errors.ts";
import type { Schema } from "../schema/schema.ts";
import { goQuote } from "../selector/go-quote.ts";
import {
  copyObject,
  isIntegerText,
  isJsonObject,
  type JsonObject,
  member,
  setMember,
  withoutNulls,
} from "./json-value.ts";
import { jsonKind, unclassifiedError } from "./patch-error.ts";
import {
  type Elements,
  elementsKind,
  goPrint,
  identityText,
  orderMerged,
  uniqueScalars,
  validateElementOrder,
} from "./strategic-list.ts";

const patchDirective = "$patch";
const retainKeysDirective = "$retainKeys";
const deletePrefix = "$deleteFromPrimitiveList/";
const orderPrefix = "$setElementOrder/";

const badFormat = (what: string): StatusError => badRequest(`invalid patch format of ${what}`);

/**
 * The object with the patch merged in; neither argument is changed. `schema` is the built-in kind's. Throws BadRequest
 * (400) for a malformed patch, 422 for lists of lists, and 500 as upstream does where a list element lacks its merge key.
 */
export function applyStrategicMergePatch(object: JsonObject, patch: unknown, schema: Schema): JsonObject {
  if (patch !== null && !isJsonObject(patch)) {
    throw badRequest(`json: cannot unmarshal ${jsonKind(patch)} into Go value of type map[string]interface {}`);
  }
  return mergeObject(object, patch ?? {}, schema);
}

/** The answer to a strategic merge patch of a custom resource. */
export function strategicMergePatchUnsupported(): StatusError {
  return unsupportedMediaType(
    "the body of the request was in an unknown format - accepted media types include: " +
      "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
  );
}

interface FieldFacts {
  /** Of the field's value: an object's own, an array's elements'. Undefined where nothing is declared below. */
  readonly schema: Schema | undefined;
  readonly strategy: "merge" | "replace" | undefined;
  readonly mergeKey: string;
}

function factsOf(schema: Schema | undefined, field: string, shape: "object" | "array"): FieldFacts {
  const declared = schema?.properties?.get(field) ?? schema?.additionalProperties;
  if (declared === undefined) {
    if (schema?.properties === undefined) return { schema: undefined, strategy: undefined, mergeKey: "" };
    const model = schema.model?.slice(schema.model.lastIndexOf(".") + 1) ?? "";
    throw unclassifiedError(`unable to find api field in struct ${model} for the json field ${goQuote(field)}`);
  }
  const strategies = declared.patchStrategy ?? [];
  return {
    schema: shape === "array" ? declared.items : declared,
    strategy: strategies.includes("merge") ? "merge" : strategies.includes("replace") ? "replace" : undefined,
    mergeKey: declared.patchMergeKey ?? "",
  };
}

function mergeObject(object: JsonObject, patch: JsonObject, schema: Schema | undefined): JsonObject {
  if (Object.hasOwn(patch, patchDirective)) {
    const directive = patch[patchDirective];
    if (directive === "delete") return {};
    if (directive !== "replace") throw unknownDirective(directive, patch);
    const replacement = copyObject(patch);
    delete replacement[patchDirective];
    return replacement;
  }
  const merged = Object.hasOwn(patch, retainKeysDirective) ? retainKeys(object, patch) : copyObject(object);
  const ordered = mergeOrderedLists(merged, patch, schema);
  for (const key of Object.keys(patch)) {
    if (key === retainKeysDirective || key.startsWith(orderPrefix) || ordered.has(key)) continue;
    mergeField(merged, key, patch[key], schema);
  }
  return merged;
}

function mergeField(merged: JsonObject, key: string, value: unknown, schema: Schema | undefined): void {
  if (key.startsWith(deletePrefix)) {
    const field = key.slice(deletePrefix.length);
    const present = member(merged, field);
    if (value === null) delete merged[field];
    else if (Array.isArray(present) && Array.isArray(value)) {
      setMember(merged, field, mergeList(present, value, factsOf(schema, field, "array"), "delete"));
    }
    return;
  }
  if (value === null) {
    delete merged[key];
    return;
  }
  const present = member(merged, key);
  if (isJsonObject(present) && isJsonObject(value)) {
    const facts = factsOf(schema, key, "object");
    setMember(merged, key, facts.strategy === "replace" ? value : mergeObject(present, value, facts.schema));
  } else if (Array.isArray(present) && Array.isArray(value)) {
    setMember(merged, key, mergeList(present, value, factsOf(schema, key, "array"), "merge"));
  } else {
    const plain = withoutDirectives(Array.isArray(value) || isJsonObject(value) ? withoutNulls(value) : value);
    if (plain === removed) delete merged[key];
    else setMember(merged, key, plain);
  }
}

/** Drops what `$retainKeys` does not list; the patch itself may only hold what it lists. */
function retainKeys(object: JsonObject, patch: JsonObject): JsonObject {
  const list = patch[retainKeysDirective];
  if (!Array.isArray(list)) throw badFormat("retainKeys");
  const retained = new Set<unknown>(list);
  for (const key of Object.keys(patch)) {
    if (key === retainKeysDirective || patch[key] === null) continue;
    if (key.startsWith(deletePrefix) || key.startsWith(orderPrefix)) continue;
    if (!retained.has(key)) throw badFormat("retainKeys");
  }
  const kept: JsonObject = {};
  for (const key of Object.keys(object)) if (retained.has(key)) setMember(kept, key, object[key]);
  return kept;
}

/** Merges every list that has a `$setElementOrder` directive, in that order; tells which fields are done with. */
function mergeOrderedLists(merged: JsonObject, patch: JsonObject, schema: Schema | undefined): Set<string> {
  const done = new Set<string>();
  for (const key of Object.keys(patch)) {
    if (!key.startsWith(orderPrefix)) continue;
    const field = key.slice(orderPrefix.length);
    const order = asList(patch[key]);
    const present = Object.hasOwn(merged, field) ? asList(merged[field]) : undefined;
    const added = Object.hasOwn(patch, field) ? asList(patch[field]) : undefined;
    const facts = factsOf(schema, field, "array");
    validateElementOrder(added ?? [], order, facts.mergeKey);
    if (present === undefined && added === undefined) continue;
    let list: unknown[];
    if (added === undefined) list = present ?? [];
    else if (present === undefined) list = withoutDirectives(added) as unknown[];
    else list = mergeList(present, added, facts, "merge");
    const kind = elementsKind(present ?? [], added ?? []);
    const live = kind === "object" && present && added ? liveOrder(present, added, facts) : (present ?? []);
    setMember(merged, field, orderMerged(list, order, live, facts.mergeKey, kind));
    done.add(field);
  }
  return done;
}

function asList(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  const received = isJsonObject(value) ? "map[string]interface {}" : value === null ? "%!s(<nil>)" : jsonKind(value);
  throw unclassifiedError(`expected a []interface {}, but received a ${received}`);
}

function mergeList(present: unknown[], patch: unknown[], facts: FieldFacts, mode: "merge" | "delete"): unknown[] {
  if (facts.strategy !== "merge" && mode === "merge") return patch;
  if (present.length === 0 && patch.length === 0) return present;
  const kind = elementsKind(present, patch);
  if (kind === "scalar") {
    if (mode === "delete") {
      const gone = new Set(patch.map(identityText));
      return present.filter((item) => !gone.has(identityText(item)));
    }
    const both = uniqueScalars([...present, ...patch]);
    return orderMerged(both, patch, present, "", kind);
  }
  if (facts.mergeKey === "") throw unclassifiedError("cannot merge lists without merge key for struct");
  const { kept, plain } = applyElementDirectives(present as Elements, patch as Elements, facts.mergeKey);
  const merged = [...kept];
  const places = new Map<string, number>();
  for (const [place, element] of kept.entries()) {
    const text = identityText(member(element, facts.mergeKey));
    if (!places.has(text)) places.set(text, place);
  }
  for (const element of plain) {
    const text = identityText(mergeKeyOf(element, facts.mergeKey));
    const place = places.get(text);
    const match = place === undefined ? undefined : merged[place];
    if (place !== undefined && match !== undefined) {
      merged[place] = mergeObject(match, element, facts.schema);
    } else {
      places.set(text, merged.length);
      merged.push(element);
    }
  }
  return orderMerged(merged, plain, kept, facts.mergeKey, kind);
}

/**
 * The live order that a list with `$setElementOrder` is woven by. Elements that the patch adds stand in the places of those
 * it deletes: upstream merges into the live list itself, and kubectl's patches have come to be ordered so.
 */
function liveOrder(present: unknown[], patch: unknown[], { strategy, mergeKey }: FieldFacts): unknown[] {
  if (strategy !== "merge" || mergeKey === "") return present;
  const deleted = new Set<string>();
  const added = new Map<string, unknown>();
  for (const element of patch) {
    if (!isJsonObject(element)) continue;
    const text = identityText(member(element, mergeKey));
    if (element[patchDirective] === "delete") deleted.add(text);
    else if (!Object.hasOwn(element, patchDirective)) added.set(text, element);
  }
  const textOf = (element: unknown): string =>
    identityText(isJsonObject(element) ? member(element, mergeKey) : element);
  const kept = present.filter((element) => !deleted.has(textOf(element)));
  for (const element of kept) added.delete(textOf(element));
  return [...kept, ...[...added.values()].slice(0, present.length - kept.length)];
}

/** Carries out `$patch: delete` and `$patch: replace` elements; gives what stays of the list and the ordinary elements. */
function applyElementDirectives(
  present: Elements,
  patch: Elements,
  mergeKey: string,
): { kept: Elements; plain: Elements } {
  const plain: JsonObject[] = [];
  const gone = new Set<string>();
  let replace = false;
  for (const element of patch) {
    if (!Object.hasOwn(element, patchDirective)) {
      plain.push(element);
      continue;
    }
    const directive = element[patchDirective];
    if (directive === "delete") {
      const key = mergeKeyOf(element, mergeKey);
      gone.add(identityText(key));
    } else if (directive === "replace") {
      replace = true;
    } else if (directive === "merge") {
      throw unclassifiedError("merging lists cannot yet be specified in the patch");
    } else {
      throw unknownDirective(directive, element);
    }
  }
  const kept =
    gone.size === 0 ? present : present.filter((element) => !gone.has(identityText(member(element, mergeKey))));
  // With `$patch: replace` somewhere, the ordinary elements are the new list.
  return replace ? { kept: plain, plain: [] } : { kept, plain };
}

function mergeKeyOf(element: JsonObject, mergeKey: string): unknown {
  if (Object.hasOwn(element, mergeKey)) return element[mergeKey];
  throw unclassifiedError(`map: ${goPrint(element)} does not contain declared merge key: ${mergeKey}`);
}

function unknownDirective(directive: unknown, map: JsonObject): StatusError {
  return unclassifiedError(`unknown patch type: ${goText(directive)} in map: ${goPrint(map)}`);
}

/** A value where Go prints text. */
function goText(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === null) return "%!s(<nil>)";
  if (typeof value === "boolean") return `%!s(bool=${value})`;
  const digits = numberToken(value);
  if (digits === undefined) return goPrint(value);
  return `%!s(${isIntegerText(digits) ? "int64" : "float64"}=${goPrint(value)})`;
}

const removed = Symbol("removed");

/** A value that is new in the object, without directives; `removed` when the value itself is nothing but one. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives).filter((item) => item !== removed);
  if (!isJsonObject(value)) return value;
  if (Object.hasOwn(value, patchDirective)) return removed;
  const kept: JsonObject = {};
  for (const key of Object.keys(value)) {
    const plain = withoutDirectives(value[key]);
    if (plain !== removed) setMember(kept, key, plain);
  }
  return kept;
}
