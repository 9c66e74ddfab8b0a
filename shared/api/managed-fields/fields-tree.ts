/**
 * FieldsV1, as objects carry it: its JSON tree is used as an immutable set of field paths itself. Most writes touch few paths of few
 * entries, and the rest of the tree is shared, not copied.
 */
import { isJsonObject, type JsonObject, member, setMember } from "../patch/json-value.ts";
import type { FieldSet } from "./field-set.ts";
import type { PathElement } from "./path-element.ts";

/** The JSON of a FieldsV1. */
export type FieldsTree = JsonObject;

/** In FieldsV1 nothing stands below a path of the set. */
export const nothingBelow: FieldsTree = Object.freeze({});

export function isEmptyTree(tree: FieldsTree): boolean {
  for (const _ in tree) return false;
  return true;
}

function subtree(tree: FieldsTree, element: PathElement): FieldsTree | undefined {
  const below = member(tree, element);
  return below === undefined ? undefined : isJsonObject(below) ? below : nothingBelow;
}

const isMemberTree = (tree: FieldsTree): boolean => Object.hasOwn(tree, ".") || isEmptyTree(tree);

/** Whether a stored set has any path of `set`. */
export function treeOverlaps(tree: FieldsTree, set: FieldSet): boolean {
  for (const { element, isMember, children } of set.level()) {
    const below = subtree(tree, element);
    if (below === undefined) continue;
    if (isMember && isMemberTree(below)) return true;
    if (children && treeOverlaps(below, children)) return true;
  }
  return false;
}

/** Whether a stored set has every path of `set`. */
export function treeCovers(tree: FieldsTree, set: FieldSet): boolean {
  for (const { element, isMember, children } of set.level()) {
    const below = subtree(tree, element);
    if (below === undefined) return false;
    if (isMember && !isMemberTree(below)) return false;
    if (children && !treeCovers(below, children)) return false;
  }
  return true;
}

/** A stored set without the paths of `set`; the same tree when it has none of them. */
export function treeWithout(tree: FieldsTree, set: FieldSet): FieldsTree {
  if (!treeOverlaps(tree, set)) return tree;
  const rest: FieldsTree = {};
  for (const key of Object.keys(tree)) {
    const left = key === "." ? nothingBelow : subtreeWithout(subtree(tree, key) ?? nothingBelow, key, set);
    if (left !== undefined) setMember(rest, key, left);
  }
  return rest;
}

/** What is left of the tree below an element; undefined when nothing is. */
function subtreeWithout(below: FieldsTree, element: PathElement, set: FieldSet): FieldsTree | undefined {
  const children = set.below(element);
  const isTaken = set.hasMember(element);
  if (!isTaken && children === undefined) return below;
  const remaining = children ? treeWithout(below, children) : below;
  const names = Object.keys(remaining).filter((name) => name !== ".");
  const keepsSelf = isMemberTree(below) && !isTaken;
  if (names.length === 0) return keepsSelf ? {} : undefined;
  const left: FieldsTree = keepsSelf ? { ".": {} } : {};
  for (const name of names) setMember(left, name, remaining[name]);
  return left;
}
