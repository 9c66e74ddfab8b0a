/**
 * Field sets written under an older schema of a custom resource, brought to today's: what has become atomic is owned as a
 * whole (structured-merge-diff typed/reconcile_schema.go).
 */
import { FieldSet, type Path } from "./field-set.ts";
import type { Atom } from "./typed-schema.ts";

/** The reconciled set; the same set when nothing had to change. */
export function reconcileWithSchema(set: FieldSet, atom: Atom): FieldSet {
  const nowAtomic: Path[] = [];
  findNowAtomic(set, atom, [], nowAtomic);
  if (nowAtomic.length === 0) return set;
  const roots = FieldSet.of(...nowAtomic);
  return set.recursiveDifference(roots).union(roots);
}

function findNowAtomic(set: FieldSet, atom: Atom, path: Path, found: Path[]): void {
  const { map, list } = atom;
  if (map) {
    if (map.isFreeForm) return;
    if (map.isAtomic && path.length > 0) {
      found.push(path);
      return;
    }
  } else if (list?.isAtomic) {
    found.push(path);
    return;
  } else if (!list) {
    return;
  }
  for (const { element, children } of set.level()) {
    if (children === undefined) continue;
    const below = map ? (element.startsWith("f:") ? map.fieldAtom(element.slice(2)) : undefined) : list?.element;
    if (below) findNowAtomic(children, below, [...path, element], found);
  }
}
