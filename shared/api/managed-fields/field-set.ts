/** Sets of field paths (structured-merge-diff's fieldpath.Set), for computing. What is stored is FieldsV1: see fields-tree.ts. */
import { isJsonObject, setMember } from "../patch/json-value.ts";
import { type FieldsTree, isEmptyTree, nothingBelow } from "./fields-tree.ts";
import { canonicalElement, compareElements, fieldElement, type PathElement } from "./path-element.ts";
import type { Atom } from "./typed-schema.ts";

export type Path = readonly PathElement[];
/** Field names from the root; `*` stands for any element: `["spec", "containers", "*", "resources"]`. */
export type FieldPattern = readonly string[];
interface Node {
  /** The path that ends here is in the set. */
  readonly isMember: boolean;
  /** Never empty. */
  readonly children: FieldSet | undefined;
}

/** The most by far are such: one for all. */
const leaf: Node = Object.freeze({ isMember: true, children: undefined });

const nodeOf = (isMember: boolean, children: FieldSet | undefined): Node =>
  isMember && children === undefined ? leaf : { isMember, children };

/** Elements of a level that are looked along for one. */
const LOOKED_ALONG = 8;

export class FieldSet {
  /** Side by side, in the order in which they came. */
  readonly #elements: PathElement[] = [];
  readonly #nodes: Node[] = [];
  /** Each element is behind those before it, as texts are compared: those found in an object that is in order are. */
  #isAscending = true;
  /** Where each element stands, of a set of many that are not ascending: most levels have few, and a map of five takes a kilobyte. */
  #places: Map<PathElement, number> | undefined;

  static of(...paths: readonly Path[]): FieldSet {
    const set = new FieldSet();
    for (const path of paths) set.insert(path);
    return set;
  }

  /** All paths of these sets, however many they are: one after the other would copy what is gathered with each. */
  static unionOf(sets: readonly FieldSet[]): FieldSet {
    const [only = new FieldSet()] = sets;
    if (sets.length <= 1) return only;
    const nodes = new Map<PathElement, Node[]>();
    for (const set of sets) {
      for (const [index, element] of set.#elements.entries()) {
        const known = nodes.get(element);
        const node = set.#nodes[index] as Node;
        if (known) known.push(node);
        else nodes.set(element, [node]);
      }
    }
    const union = new FieldSet();
    for (const [element, all] of nodes) {
      const below = all.flatMap(({ children }) => children ?? []);
      union.#put(
        element,
        all.some(({ isMember }) => isMember),
        below.length > 0 ? FieldSet.unionOf(below) : undefined,
      );
    }
    return union;
  }

  /** A set of plain fields, each path as field names. */
  static ofFields(...paths: readonly (readonly string[])[]): FieldSet {
    return FieldSet.of(...paths.map((names) => names.map(fieldElement)));
  }

  get isEmpty(): boolean {
    return this.#elements.length === 0;
  }

  /** Number of paths. */
  get size(): number {
    let size = 0;
    for (const node of this.#nodes) size += Number(node.isMember) + (node.children?.size ?? 0);
    return size;
  }

  /** Adds a path, not its parents. The empty path is nobody's: nothing happens. */
  insert(path: Path): void {
    let set: FieldSet = this;
    for (let i = 0; i < path.length; i++) {
      const element = path[i] ?? "";
      const place = set.#placeOf(element);
      const node = set.#nodes[place];
      const isLast = i === path.length - 1;
      const children: FieldSet | undefined = isLast ? node?.children : (node?.children ?? new FieldSet());
      const next = nodeOf(isLast || (node?.isMember ?? false), children);
      if (node === undefined) set.#add(element, next);
      else if (next.isMember !== node.isMember || children !== node.children) set.#nodes[place] = next;
      if (children) set = children;
    }
  }

  has(path: Path): boolean {
    let set: FieldSet | undefined = this;
    for (const [index, element] of path.entries()) {
      if (set === undefined) return false;
      const node: Node | undefined = set.#nodeOf(element);
      if (node === undefined) return false;
      if (index === path.length - 1) return node.isMember;
      set = node.children;
    }
    return false;
  }

  hasMember(element: PathElement): boolean {
    return this.#nodeOf(element)?.isMember ?? false;
  }

  /** The set below an element; undefined when it is empty. */
  below(element: PathElement): FieldSet | undefined {
    return this.#nodeOf(element)?.children;
  }

  union(other: FieldSet): FieldSet {
    if (other.isEmpty) return this;
    if (this.isEmpty) return other;
    const union = new FieldSet();
    for (let index = 0; index < this.#elements.length; index += 1) {
      const element = this.#elements[index] as PathElement;
      const node = this.#nodes[index] as Node;
      const same = other.#nodeOf(element);
      if (same === undefined) union.#add(element, node);
      else union.#put(element, node.isMember || same.isMember, unionOf(node.children, same.children));
    }
    for (let index = 0; index < other.#elements.length; index += 1) {
      const element = other.#elements[index] as PathElement;
      if (this.#placeOf(element) < 0) union.#add(element, other.#nodes[index] as Node);
    }
    return union;
  }

  intersection(other: FieldSet): FieldSet {
    const intersection = new FieldSet();
    for (let index = 0; index < this.#elements.length; index += 1) {
      const element = this.#elements[index] as PathElement;
      const node = this.#nodes[index] as Node;
      const same = other.#nodeOf(element);
      if (same === undefined) continue;
      const children = node.children && same.children ? node.children.intersection(same.children) : undefined;
      intersection.#put(element, node.isMember && same.isMember, children);
    }
    return intersection;
  }

  /** Without the paths of `other`; a parent in `other` does not take its children along. */
  difference(other: FieldSet): FieldSet {
    if (other.isEmpty) return this;
    const difference = new FieldSet();
    for (let index = 0; index < this.#elements.length; index += 1) {
      const element = this.#elements[index] as PathElement;
      const node = this.#nodes[index] as Node;
      const same = other.#nodeOf(element);
      if (same === undefined) difference.#add(element, node);
      else {
        const children = same.children ? node.children?.difference(same.children) : node.children;
        difference.#put(element, node.isMember && !same.isMember, children);
      }
    }
    return difference;
  }

  /** Without the paths of `other` and all that is below them. */
  recursiveDifference(other: FieldSet): FieldSet {
    const difference = new FieldSet();
    for (let index = 0; index < this.#elements.length; index += 1) {
      const element = this.#elements[index] as PathElement;
      const node = this.#nodes[index] as Node;
      const same = other.#nodeOf(element);
      if (same === undefined) difference.#add(element, node);
      else if (!same.isMember) {
        const children = same.children ? node.children?.recursiveDifference(same.children) : node.children;
        difference.#put(element, node.isMember, children);
      }
    }
    return difference;
  }

  /**
   * Only what the patterns allow: their own elements and everything below where one of them ends. Of several patterns that
   * have `*` in one place only the first counts, as upstream's matcher has it.
   */
  matching(patterns: readonly FieldPattern[]): FieldSet {
    const kept = new FieldSet();
    const any = patterns.find(([first]) => first === "*");
    for (let index = 0; index < this.#elements.length; index += 1) {
      const element = this.#elements[index] as PathElement;
      const node = this.#nodes[index] as Node;
      const further = any
        ? [any]
        : patterns.filter(([first]) => first !== undefined && fieldElement(first) === element);
      if (further.length === 0) continue;
      const below = further.map((pattern) => pattern.slice(1));
      const isEnd = below.some((pattern) => pattern.length === 0);
      kept.#put(element, node.isMember, isEnd ? node.children : node.children?.matching(below));
    }
    return kept;
  }

  equals(other: FieldSet): boolean {
    if (this.#elements.length !== other.#elements.length) return false;
    for (let index = 0; index < this.#elements.length; index += 1) {
      const element = this.#elements[index] as PathElement;
      const node = this.#nodes[index] as Node;
      const same = other.#nodeOf(element);
      if (same === undefined || same.isMember !== node.isMember) return false;
      if ((node.children === undefined) !== (same.children === undefined)) return false;
      if (node.children && same.children && !node.children.equals(same.children)) return false;
    }
    return true;
  }

  /**
   * The set with every declared field that has members below it added as a member itself: what a set of leaves leaves out
   * and pruning needs.
   */
  withNamedFields(atom: Atom | undefined): FieldSet {
    const set = new FieldSet();
    for (let index = 0; index < this.#elements.length; index += 1) {
      const element = this.#elements[index] as PathElement;
      const node = this.#nodes[index] as Node;
      let isMember = node.isMember;
      let below: Atom | undefined;
      if (element.startsWith("f:")) {
        const name = element.slice(2);
        if (node.children && atom?.map?.declares(name)) isMember = true;
        below = atom?.map?.fieldAtom(name);
      } else if (element.startsWith("k:")) {
        below = atom?.list?.element;
      }
      set.#put(element, isMember, node.children?.withNamedFields(below));
    }
    return set;
  }

  /** Every path in canonical order: the members of a level before what is below them. */
  *paths(prefix: Path = []): Generator<Path> {
    const order = this.#inOrder();
    for (const index of order) if (this.#nodes[index]?.isMember) yield [...prefix, this.#elements[index] ?? ""];
    for (const index of order)
      yield* this.#nodes[index]?.children?.paths([...prefix, this.#elements[index] ?? ""]) ?? [];
  }

  /** Elements of the first level with what they are. */
  *level(): Generator<{ element: PathElement; isMember: boolean; children: FieldSet | undefined }> {
    for (const [index, element] of this.#elements.entries()) {
      const { isMember = false, children } = this.#nodes[index] ?? {};
      yield { element, isMember, children };
    }
  }

  toFieldsV1(): FieldsTree {
    return this.#tree(false);
  }

  #tree(withSelf: boolean): FieldsTree {
    const tree: FieldsTree = {};
    if (withSelf) tree["."] = nothingBelow;
    for (const index of this.#inOrder()) {
      const { isMember, children } = this.#nodes[index] ?? leaf;
      setMember(tree, this.#elements[index] ?? "", children ? children.#tree(isMember) : nothingBelow);
    }
    return tree;
  }

  /** Reads FieldsV1; elements of unknown types are ignored. Throws SyntaxError for malformed ones. */
  static fromFieldsV1(tree: FieldsTree): FieldSet {
    const set = new FieldSet();
    for (const key of Object.keys(tree)) {
      if (key === ".") continue;
      const element = canonicalElement(key);
      if (element === undefined) continue;
      const below = tree[key];
      const found = isJsonObject(below) && !isEmptyTree(below) ? FieldSet.fromFieldsV1(below) : undefined;
      const children = found?.isEmpty ? undefined : found;
      const isMember = !children || (isJsonObject(below) && Object.hasOwn(below, "."));
      // Keys of list items may be written in several ways; the last counts.
      const known = element.startsWith("f:") ? -1 : set.#placeOf(element);
      if (known < 0) set.#put(element, isMember, children);
      else set.#nodes[known] = nodeOf(isMember, children);
    }
    return set;
  }

  #placeOf(element: PathElement): number {
    if (this.#elements.length <= LOOKED_ALONG) return this.#elements.indexOf(element);
    if (this.#isAscending) return placeAmong(this.#elements, element);
    this.#places ??= placesOf(this.#elements);
    return this.#places.get(element) ?? -1;
  }

  #nodeOf(element: PathElement): Node | undefined {
    const place = this.#placeOf(element);
    return place < 0 ? undefined : this.#nodes[place];
  }

  /** One that is not there yet. */
  #add(element: PathElement, node: Node): void {
    const last = this.#elements.at(-1);
    if (last !== undefined && element < last) this.#isAscending = false;
    const place = this.#elements.push(element) - 1;
    this.#nodes.push(node);
    this.#places?.set(element, place);
  }

  /** One that is not there yet, if there is anything of it. */
  #put(element: PathElement, isMember: boolean, children: FieldSet | undefined): void {
    const kept = children === undefined || children.isEmpty ? undefined : children;
    if (isMember || kept !== undefined) this.#add(element, nodeOf(isMember, kept));
  }

  /** The places of the elements in canonical order. */
  #inOrder(): number[] {
    const elements = this.#elements;
    const order = elements.map((_, index) => index);
    const compared = (a: number, b: number): number => compareElements(elements[a] ?? "", elements[b] ?? "");
    // What was found in an object comes as its fields stand, which mostly is in order.
    return order.every((index) => index === 0 || compared(index - 1, index) < 0) ? order : order.sort(compared);
  }
}

/** @param elements ascending. */
function placeAmong(elements: readonly PathElement[], element: PathElement): number {
  let from = 0;
  let to = elements.length;
  // Most that are looked for are about to be added behind the others.
  if (element > (elements[to - 1] ?? "")) return -1;
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((elements[middle] ?? "") < element) from = middle + 1;
    else to = middle;
  }
  return elements[from] === element ? from : -1;
}

function placesOf(elements: readonly PathElement[]): Map<PathElement, number> {
  const places = new Map<PathElement, number>();
  for (const [index, element] of elements.entries()) places.set(element, index);
  return places;
}

function unionOf(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  return a && b ? a.union(b) : (a ?? b);
}
