/** Which path element each item of a keyed list or set is (structured-merge-diff typed/helpers.go). */

import { isRawNumber } from "../codec/number.ts";
import { isJsonObject } from "../patch/json-value.ts";
import { goQuote } from "../selector/go-quote.ts";
import { keyElement, type PathElement, valueElement } from "./path-element.ts";
import type { ListAtom } from "./typed-schema.ts";

/** Why an item has no path element; the text of the error. */
export class UnindexableItem extends Error {
  override readonly name = "UnindexableItem";
}

/** The path element of an item of a list that is not atomic; throws UnindexableItem. */
export function itemElement(list: ListAtom, item: unknown): PathElement {
  if (list.keys.length === 0) return setElement(item);
  if (item === null) throw new UnindexableItem("associative list with keys may not have a null element");
  if (!isJsonObject(item)) throw new UnindexableItem("associative list with keys may not have non-map elements");
  const names: string[] = [];
  const values: unknown[] = [];
  for (const key of list.sortedKeys) {
    const value = Object.hasOwn(item, key) ? item[key] : (list.keyDefault(key) ?? undefined);
    if (value === undefined) continue;
    names.push(key);
    values.push(value);
  }
  if (names.length === 0) {
    throw new UnindexableItem(
      `associative list with keys has an element that omits all key fields [${list.keys.map(goQuote).join(" ")}] ` +
        "(and doesn't have default values for any key fields)",
    );
  }
  return keyElement(names, values);
}

function setElement(item: unknown): PathElement {
  if (Array.isArray(item)) throw new UnindexableItem("not supported: associative list with lists as elements");
  if (item === null) throw new UnindexableItem("associative list without keys has an element that's an explicit null");
  if (typeof item === "object" && !isRawNumber(item)) {
    throw new UnindexableItem("associative list without keys has an element that's a map type");
  }
  return valueElement(item);
}

/** The element of an item, or undefined where it has none: such items belong to nobody. */
export function itemElementIfAny(list: ListAtom, item: unknown): PathElement | undefined {
  try {
    return itemElement(list, item);
  } catch (error) {
    if (error instanceof UnindexableItem) return undefined;
    throw error;
  }
}

/** Items by path element, doubles together, in order of first appearance. Throws UnindexableItem. */
export function groupItems(list: ListAtom, items: readonly unknown[]): Map<PathElement, unknown[]> {
  const groups = new Map<PathElement, unknown[]>();
  for (const item of items) {
    const element = itemElement(list, item);
    const group = groups.get(element);
    if (group) group.push(item);
    else groups.set(element, [item]);
  }
  return groups;
}
