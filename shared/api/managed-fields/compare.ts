/** What changed between two values of one type, as field sets (structured-merge-diff typed/compare.go). */
import { equalJson, isJsonObject, type JsonObject, member } from "../patch/json-value.ts";
import { FieldSet } from "./field-set.ts";
import { groupItems } from "./list-index.ts";
import { fieldElement, type PathElement } from "./path-element.ts";
import { type Atom, deducedAtom, isOpen, type ListAtom, type MapAtom, type Shape, shapeOf } from "./typed-schema.ts";

/** No path is in more than one of the sets; all are empty when the values are the same. */
export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

/** Compares two values; undefined stands for an absent one. Parts that are one object in both cost nothing. Throws
 *  UnindexableItem for a list that has changed and whose items have no keys. */
export function compare(before: unknown, after: unknown, atom: Atom): Comparison {
  const walker = new CompareWalker();
  walker.compare(before, after, atom);
  return walker;
}

export const isSame = ({ added, modified, removed }: Comparison): boolean =>
  added.isEmpty && modified.isEmpty && removed.isEmpty;

class CompareWalker implements Comparison {
  readonly added = new FieldSet();
  readonly modified = new FieldSet();
  readonly removed = new FieldSet();
  readonly #path: PathElement[] = [];

  compare(before: unknown, after: unknown, atom: Atom): void {
    if (before === after) return;
    const beforeShape = shapeOf(atom, before);
    const afterShape = shapeOf(atom, after);
    let wasLeaf: boolean;
    if (after === undefined) wasLeaf = this.#walk(beforeShape, before, after, atom);
    else if (before === undefined) wasLeaf = this.#walk(afterShape, before, after, atom);
    else {
      const isSameForm = beforeShape === afterShape && isOpen(atom, before) === isOpen(atom, after);
      if (!isSameForm) this.#walk(beforeShape, before, after, atom);
      wasLeaf = this.#walk(afterShape, before, after, atom);
    }
    if (wasLeaf) return;
    if (before === undefined) this.added.insert(this.#path);
    else if (after === undefined) this.removed.insert(this.#path);
  }

  /** Tells whether the value was taken as a leaf. */
  #walk(shape: Shape | undefined, before: unknown, after: unknown, atom: Atom): boolean {
    if (shape === "map" && atom.map) return this.#map(before, after, atom.map);
    if (shape === "list" && atom.list) return this.#list(before, after, atom.list);
    this.#leaf(before, after);
    return true;
  }

  #leaf(before: unknown, after: unknown): void {
    if (before === undefined) this.added.insert(this.#path);
    else if (after === undefined) this.removed.insert(this.#path);
    else if (!equalJson(before, after)) this.modified.insert(this.#path);
  }

  #map(before: unknown, after: unknown, atom: MapAtom): boolean {
    const left = isJsonObject(before) ? before : noMembers;
    const right = isJsonObject(after) ? after : noMembers;
    // Two empty ones are a leaf: that keeps empty and null apart.
    if (atom.isAtomic || (isEmptyObject(left) && isEmptyObject(right))) {
      this.#leaf(before, after);
      return true;
    }
    for (const key of Object.keys(left)) this.#field(key, left[key], member(right, key), atom);
    for (const key of Object.keys(right)) {
      if (!Object.hasOwn(left, key)) this.#field(key, undefined, right[key], atom);
    }
    return false;
  }

  #field(key: string, before: unknown, after: unknown, atom: MapAtom): void {
    if (before === after) return;
    // Most writes leave whole top-level fields as they were, in other objects: seeing that is cheaper than walking by schema.
    if (this.#path.length === 0 && equalJson(before, after)) return;
    this.#path.push(fieldElement(key));
    // What the schema does not know is owned like free-form content: better than losing track of it.
    this.compare(before, after, atom.fieldAtom(key) ?? deducedAtom);
    this.#path.pop();
  }

  #list(before: unknown, after: unknown, atom: ListAtom): boolean {
    const left = Array.isArray(before) ? before : noItems;
    const right = Array.isArray(after) ? after : noItems;
    if (atom.isAtomic || (left.length === 0 && right.length === 0)) {
      this.#leaf(before, after);
      return true;
    }
    if (left.length === right.length && equalJson(left, right)) return false;
    const leftGroups = groupItems(atom, left);
    const rightGroups = groupItems(atom, right);
    for (const [element, items] of leftGroups) this.#items(element, items, rightGroups.get(element) ?? noItems, atom);
    for (const [element, items] of rightGroups) {
      if (!leftGroups.has(element)) this.#items(element, noItems, items, atom);
    }
    return false;
  }

  #items(element: PathElement, before: readonly unknown[], after: readonly unknown[], atom: ListAtom): void {
    this.#path.push(element);
    if (before.length <= 1 && after.length <= 1) this.compare(before[0], after[0], atom.element);
    else if (before.length >= 2 && after.length >= 2) {
      // Doubles on both sides are compared as one atomic list.
      if (!equalJson(before, after)) this.modified.insert(this.#path);
    } else if (before.length >= 2) {
      if (after.length > 0) this.compare(undefined, after[0], atom.element);
      this.removed.insert(this.#path);
    } else {
      if (before.length > 0) this.compare(before[0], undefined, atom.element);
      this.added.insert(this.#path);
    }
    this.#path.pop();
  }
}

const noMembers: JsonObject = Object.freeze({});
const noItems: readonly unknown[] = Object.freeze([]);

function isEmptyObject(object: JsonObject): boolean {
  for (const _ in object) return false;
  return true;
}
