/** An applied configuration merged into a live object (structured-merge-diff typed/merge.go). */
import { isJsonObject, type JsonObject, member, setMember } from "../patch/json-value.ts";
import { itemElement, itemElementIfAny } from "./list-index.ts";
import type { PathElement } from "./path-element.ts";
import { type Atom, deducedAtom, type ListAtom, type MapAtom, type Shape, shapeOf } from "./typed-schema.ts";

/**
 * The live value with the applied one merged in; undefined stands for an absent value. Nothing is removed. Items of a keyed
 * list stand as in `live` where the configuration changes nothing of their order, else as in the configuration. `applied`
 * has been validated.
 */
export function merge(live: unknown, applied: unknown, atom: Atom): unknown {
  // All of it is new: nothing is to be copied.
  if (live === undefined) return applied;
  if (applied === undefined) {
    // A null value is merged like any other: it may be a list or map that has nothing in it.
    return mergeShape(shapeOf(atom, live), live, applied, atom);
  }
  return mergeShape(shapeOf(atom, applied), live, applied, atom);
}

function mergeShape(shape: Shape | undefined, live: unknown, applied: unknown, atom: Atom): unknown {
  if (shape === "map" && atom.map) return mergeMap(live, applied, atom.map);
  if (shape === "list" && atom.list) return mergeList(live, applied, atom.list);
  return keepApplied(live, applied);
}

const keepApplied = (live: unknown, applied: unknown): unknown => (applied === undefined ? live : applied);

function mergeMap(live: unknown, applied: unknown, map: MapAtom): unknown {
  const left = isJsonObject(live) ? live : undefined;
  const right = isJsonObject(applied) ? applied : undefined;
  const isEmpty = !hasMembers(left) && !hasMembers(right);
  if (map.isAtomic || isEmpty) return keepApplied(live, applied);
  const merged: JsonObject = {};
  for (const key of Object.keys(left ?? noMembers)) {
    const result = merge(left?.[key], right && member(right, key), map.fieldAtom(key) ?? deducedAtom);
    if (result !== undefined) setMember(merged, key, result);
  }
  for (const key of Object.keys(right ?? noMembers)) {
    if (left && Object.hasOwn(left, key)) continue;
    const result = merge(undefined, right?.[key], map.fieldAtom(key) ?? deducedAtom);
    if (result !== undefined) setMember(merged, key, result);
  }
  return Object.keys(merged).length > 0 ? merged : undefined;
}

const noMembers: JsonObject = Object.freeze({});
const hasMembers = (object: JsonObject | undefined): boolean => object !== undefined && Object.keys(object).length > 0;

function mergeList(live: unknown, applied: unknown, atom: ListAtom): unknown {
  const left: readonly unknown[] = Array.isArray(live) ? live : [];
  const right: readonly unknown[] = Array.isArray(applied) ? applied : [];
  if (atom.isAtomic || (left.length === 0 && right.length === 0)) return keepApplied(live, applied);
  const merged = weave(left, right, atom);
  return merged.length > 0 ? merged : undefined;
}

/**
 * Both lists in one: items that both have stand in the order of `right`; items of `left` alone keep their place before the
 * next shared item.
 */
function weave(left: readonly unknown[], right: readonly unknown[], atom: ListAtom): unknown[] {
  const leftElements = left.map((item) => itemElementIfAny(atom, item));
  const rightElements = right.map((item) => itemElement(atom, item));
  const leftItems = firstItems(left, leftElements);
  const rightItems = firstItems(right, rightElements);
  const shared = rightElements.filter((element) => leftItems.has(element));
  const done = new Set<PathElement>();
  const merged: unknown[] = [];
  const put = (item: unknown): void => {
    if (item !== undefined) merged.push(item);
  };
  let l = 0;
  let r = 0;
  let s = 0;
  const takeRight = (element: PathElement): void => {
    done.add(element);
    put(merge(leftItems.get(element), rightItems.get(element), atom.element));
    r++;
    if (shared[s] === element) s++;
  };
  while (l < left.length || r < right.length) {
    const leftElement = leftElements[l];
    const rightElement = rightElements[r];
    if (l < left.length && (leftElement === undefined || !rightItems.has(leftElement))) {
      put(merge(left[l], undefined, atom.element));
      l++;
    } else if (leftElement !== undefined && leftElement === rightElement) {
      takeRight(leftElement);
      l++;
    } else if (
      leftElement !== undefined &&
      rightElement !== undefined &&
      s < shared.length &&
      shared[s] !== leftElement
    ) {
      // Shared, but not the one whose turn it is: it comes when the right list has it.
      l++;
    } else {
      if (leftElement !== undefined && done.has(leftElement)) l++;
      if (rightElement !== undefined) takeRight(rightElement);
    }
  }
  return merged;
}

/** Items by element; null for doubles, which are not merged into. */
function firstItems(
  items: readonly unknown[],
  elements: readonly (PathElement | undefined)[],
): Map<PathElement, unknown> {
  const byElement = new Map<PathElement, unknown>();
  for (const [index, element] of elements.entries()) {
    if (element !== undefined) byElement.set(element, byElement.has(element) ? null : items[index]);
  }
  return byElement;
}
