/** Lists of a strategic merge patch: their elements' kind, identity and order. */

import { numberToken } from "../codec/number.ts";
import { badRequest } from "../errors.ts";
import { compareBytes } from "../selector/go-quote.ts";
import { isIntegerText, isJsonObject, type JsonObject, member } from "./json-value.ts";
import { patchDoesNotApply, unclassifiedError } from "./patch-error.ts";

export type Elements = readonly JsonObject[];

/** What all elements of the lists are; throws where they differ, where there is none, or where they are lists. */
export function elementsKind(...lists: readonly (readonly unknown[])[]): "object" | "scalar" {
  let kind: string | undefined;
  for (const element of lists.flat(1)) {
    const elementKind = kindOf(element);
    if (kind === undefined) {
      if (elementKind === "list") throw patchDoesNotApply("lists of lists are not supported");
      // Upstream panics here.
      if (elementKind === "nil") throw patchDoesNotApply("the first element of a list is null");
      kind = elementKind;
    } else if (kind !== elementKind) {
      throw unclassifiedError(`list element types are not identical: ${goPrint(lists)}`);
    }
  }
  if (kind === undefined) throw unclassifiedError("no elements in any of the given slices");
  return kind === "object" ? "object" : "scalar";
}

function kindOf(element: unknown): string {
  if (element === null) return "nil";
  if (Array.isArray(element)) return "list";
  if (isJsonObject(element)) return "object";
  return numberToken(element) === undefined ? typeof element : "number";
}

/** Text that is the same for values that are the same merge key or the same element of a list of scalars. */
export function identityText(value: unknown): string {
  const digits = numberToken(value);
  return digits === undefined ? JSON.stringify(value) : isIntegerText(digits) ? digits : String(Number(digits));
}

const sameScalar = (a: unknown, b: unknown): boolean => a === b || identityText(a) === identityText(b);

/** Lists of up to so many elements are ordered exactly as upstream does, whose ways with what no order names are its own. */
const exactOrderMax = 20;

/** Each scalar once. In a short list a later double gives its place to the last element, as upstream has it. */
export function uniqueScalars(list: readonly unknown[]): unknown[] {
  if (list.length > exactOrderMax) {
    return [...new Map(list.map((element) => [identityText(element), element] as const).reverse())]
      .map(([, element]) => element)
      .reverse();
  }
  const unique = [...list];
  for (let i = 0; i < unique.length - 1; i++) {
    for (let j = i + 1; j < unique.length; j++) {
      if (!sameScalar(unique[i], unique[j])) continue;
      const last = unique.pop();
      if (j < unique.length) unique[j] = last;
      j--;
    }
  }
  return unique;
}

/** Checks that a patch's elements stand in the order that its `$setElementOrder` gives. */
export function validateElementOrder(patch: readonly unknown[], order: readonly unknown[], mergeKey: string): void {
  if (patch.length === 0 || order.length === 0) return;
  const identity = mergeKey === "" ? (element: unknown) => element : (element: unknown) => keyOf(element, mergeKey);
  const elements = mergeKey === "" ? patch : patch.filter((element) => !isDeletion(element));
  let at = 0;
  let seen = 0;
  while (at < elements.length && seen < order.length) {
    const element = elements[at];
    if (isJsonObject(element) && Object.hasOwn(element, "$patch")) at++;
    else {
      if (sameScalar(identity(element), identity(order[seen]))) at++;
      seen++;
    }
  }
  if (at < elements.length) {
    throw unclassifiedError(
      `The order in patch list:\n${goPrint(patch)}\n doesn't match $setElementOrder list:\n${goPrint(order)}\n`,
    );
  }
}

/**
 * A merged list in its final order: elements of `order` as it has them, the others as `live` has them, the two woven
 * together by their places in `live` as far as those agree.
 */
export function orderMerged(
  merged: readonly unknown[],
  order: readonly unknown[],
  live: readonly unknown[],
  mergeKey: string,
  kind: "object" | "scalar",
): unknown[] {
  if (kind === "object") assertFindable(merged, order, mergeKey);
  const identity = kind === "object" ? (element: unknown) => keyOf(element, mergeKey) : (element: unknown) => element;
  const placeIn = (list: readonly unknown[]) => {
    const places = new Map<string, number>();
    for (const [place, element] of list.entries()) {
      const text = identityText(identity(element));
      if (!places.has(text)) places.set(text, place);
    }
    return (element: unknown): number => places.get(identityText(identity(element))) ?? -1;
  };
  const placeInOrder = placeIn(order);
  const placeInLive = placeIn(live);
  const given = inOrder(
    merged.filter((element) => placeInOrder(element) >= 0),
    placeInOrder,
  );
  const others = inOrder(
    merged.filter((element) => placeInOrder(element) < 0),
    placeInLive,
  );
  const woven: unknown[] = [];
  let i = 0;
  let j = 0;
  while (i < others.length && j < given.length) {
    const left = placeInLive(others[i]);
    const right = placeInLive(given[j]);
    if (left >= 0 && right >= 0 && left < right) woven.push(others[i++]);
    else woven.push(given[j++]);
  }
  return [...woven, ...others.slice(i), ...given.slice(j)];
}

/** Upstream looks each element up in the order, from its beginning, and must come upon nothing but objects until it is found. */
function assertFindable(merged: readonly unknown[], order: readonly unknown[], mergeKey: string): void {
  const stray = order.findIndex((element) => !isJsonObject(element));
  if (stray < 0) return;
  const before = order.slice(0, stray).map((element) => member(element as JsonObject, mergeKey));
  for (const element of merged) {
    const key = keyOf(element, mergeKey);
    if (!before.some((other) => sameScalar(key, other))) {
      throw unclassifiedError(`value for key ${stray} is not a map`);
    }
  }
}

/** Sorted by place. Upstream's comparison swaps neighbours of which one has no place, so short lists are sorted by its very steps. */
function inOrder(elements: readonly unknown[], placeOf: (element: unknown) => number): unknown[] {
  const sorted = elements.map((element) => ({ element, place: placeOf(element) }));
  if (sorted.length > exactOrderMax) sorted.sort((a, b) => a.place - b.place);
  else {
    for (let i = 1; i < sorted.length; i++) {
      for (let j = i; j > 0; j--) {
        const [left, right] = [sorted[j - 1], sorted[j]];
        if (!left || !right || (left.place >= 0 && right.place >= 0 && right.place >= left.place)) break;
        sorted[j - 1] = right;
        sorted[j] = left;
      }
    }
  }
  return sorted.map(({ element }) => element);
}

function keyOf(element: unknown, mergeKey: string): unknown {
  if (!isJsonObject(element)) {
    throw unclassifiedError(`expected a map[string]interface {}, but received a ${goTypeName(element)}`);
  }
  if (!Object.hasOwn(element, mergeKey)) {
    throw unclassifiedError(`map: ${goPrint(element)} does not contain declared merge key: ${mergeKey}`);
  }
  return member(element, mergeKey);
}

function isDeletion(element: unknown): boolean {
  if (!isJsonObject(element)) throw badRequest("invalid patch format of setElementOrder list");
  return element["$patch"] === "delete";
}

const goTypeName = (value: unknown): string =>
  typeof value === "string" ? "string" : typeof value === "boolean" ? "bool" : value === null ? "%!s(<nil>)" : "int64";

/** A value as Go's `%v` prints it, for messages. */
export function goPrint(value: unknown): string {
  if (value === null || value === undefined) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(goPrint).join(" ")}]`;
  if (isJsonObject(value)) {
    const keys = Object.keys(value).sort(compareBytes);
    return `map[${keys.map((key) => `${key}:${goPrint(value[key])}`).join(" ")}]`;
  }
  return numberToken(value) ?? String(value);
}
