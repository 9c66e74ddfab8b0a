/** The field set of a value, and a value without some of its fields (structured-merge-diff typed/tofieldset.go, remove.go). */
import { isJsonObject, type JsonObject, setMember } from "../patch/json-value.ts";
import { FieldSet } from "./field-set.ts";
import { itemElementIfAny } from "./list-index.ts";
import { fieldElement, type PathElement } from "./path-element.ts";
import { type Atom, deducedAtom, type ListAtom, type MapAtom, shapeOf } from "./typed-schema.ts";

/** Every leaf and every list item that a value mentions. */
export function toFieldSet(value: unknown, atom: Atom): FieldSet {
  const set = new FieldSet();
  collect(value, atom, [], set);
  return set;
}

function collect(value: unknown, atom: Atom, path: PathElement[], set: FieldSet): void {
  const shape = shapeOf(atom, value);
  if (shape === "map" && atom.map) collectMap(value, atom.map, path, set);
  else if (shape === "list" && atom.list) collectList(value, atom.list, path, set);
  else set.insert(path);
}

function collectMap(value: unknown, atom: MapAtom, path: PathElement[], set: FieldSet): void {
  if (atom.isAtomic) set.insert(path);
  else if (isJsonObject(value)) {
    for (const key of Object.keys(value)) {
      const item = value[key];
      path.push(fieldElement(key));
      collect(item, atom.fieldAtom(key) ?? deducedAtom, path, set);
      const isEmpty = item === null || (isJsonObject(item) && Object.keys(item).length === 0);
      if (isEmpty || !atom.declares(key)) set.insert(path);
      path.pop();
    }
  }
}

function collectList(value: unknown, atom: ListAtom, path: PathElement[], set: FieldSet): void {
  if (atom.isAtomic) set.insert(path);
  else if (Array.isArray(value)) {
    const elements = value.map((item) => itemElementIfAny(atom, item));
    const seen = new Set<PathElement>();
    const doubled = new Set<PathElement>();
    for (const element of elements) {
      if (element === undefined) continue;
      if (seen.has(element)) doubled.add(element);
      seen.add(element);
    }
    for (const [index, element] of elements.entries()) {
      if (element === undefined) continue;
      path.push(element);
      // Doubles are owned as one, without what is in them.
      if (!doubled.has(element)) collect(value[index], atom.element, path, set);
      set.insert(path);
      path.pop();
    }
  }
}

/**
 * A value without the list items and fields in `unwanted`; what is not touched is shared. Null where nothing is left of a
 * list or map that was touched: an atomic one goes as a whole.
 */
export function removeItems(value: unknown, unwanted: FieldSet, atom: Atom): unknown {
  const shape = shapeOf(atom, value);
  if (shape === "map" && atom.map) return isJsonObject(value) ? removeFromMap(value, unwanted, atom.map) : null;
  if (shape === "list" && atom.list) return Array.isArray(value) ? removeFromList(value, unwanted, atom.list) : null;
  return value;
}

function removeFromMap(value: JsonObject, unwanted: FieldSet, atom: MapAtom): unknown {
  if (atom.isAtomic) return null;
  const rest: JsonObject = {};
  let isEmpty = true;
  for (const key of Object.keys(value)) {
    const element = fieldElement(key);
    if (unwanted.hasMember(element)) continue;
    const below = unwanted.below(element);
    isEmpty = false;
    setMember(rest, key, below ? removeItems(value[key], below, atom.fieldAtom(key) ?? deducedAtom) : value[key]);
  }
  return isEmpty ? null : rest;
}

function removeFromList(value: readonly unknown[], unwanted: FieldSet, atom: ListAtom): unknown {
  if (atom.isAtomic) return null;
  const rest: unknown[] = [];
  for (const item of value) {
    const element = itemElementIfAny(atom, item);
    if (element !== undefined && unwanted.hasMember(element)) continue;
    const below = element === undefined ? undefined : unwanted.below(element);
    rest.push(below ? removeItems(item, below, atom.element) : item);
  }
  return rest.length === 0 ? null : rest;
}
