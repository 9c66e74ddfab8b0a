/** Lists of a strategic merge patch: their elements' kind, identity and order. */
import { badRequest, StatusError } from "../errors.ts";
import { compareBytes } from "../selector/go-quote.ts";
import { equalJson, isJsonObject, type JsonObject, member, numberText } from "./json-value.ts";
import { unclassifiedError } from "./patch-error.ts";

export type Elements = readonly JsonObject[];

/** What all elements of the lists are; throws where they differ, where there is none, or where one is a list. */
export function elementsKind(...lists: readonly (readonly unknown[])[]): "object" | "scalar" {
  let kind: string | undefined;
  for (const element of lists.flat(1)) {
    if (Array.isArray(element)) {
      throw new StatusError("Invalid", "the server rejected our request due to an error in our request", {
        cause: new Error("lists of lists are not supported"),
      });
    }
    const elementKind = isJsonObject(element)
      ? "object"
      : numberText(element) === undefined
        ? typeof element
        : "number";
    if (kind !== undefined && kind !== elementKind) {
      throw unclassifiedError(`list element types are not identical: ${goPrint(lists)}`);
    }
    kind = elementKind;
  }
  if (kind === undefined) throw unclassifiedError("no elements in any of the given slices");
  return kind === "object" ? "object" : "scalar";
}

export const sameScalar = (a: unknown, b: unknown): boolean => a === b || equalJson(a, b);

/** Each scalar once. A later double is overwritten by the list's last element, as upstream does before it orders the list. */
export function uniqueScalars(list: readonly unknown[]): unknown[] {
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
  const identity = kind === "object" ? (element: unknown) => keyOf(element, mergeKey) : (element: unknown) => element;
  const placeIn = (list: readonly unknown[]) => {
    const identities = list.map(identity);
    return (element: unknown): number => {
      const own = identity(element);
      return identities.findIndex((other) => sameScalar(other, own));
    };
  };
  const placeInOrder = placeIn(order);
  const placeInLive = placeIn(live);
  const given = merged
    .filter((element) => placeInOrder(element) >= 0)
    .sort((a, b) => placeInOrder(a) - placeInOrder(b));
  const others = merged.filter((element) => placeInOrder(element) < 0).sort((a, b) => placeInLive(a) - placeInLive(b));
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
  return numberText(value) ?? String(value);
}
