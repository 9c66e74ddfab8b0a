import { type KubeObject, keyOf } from "#shared/api/object.ts";
import type { Labels } from "#shared/api/selector/label-selector.ts";
import { CompactMap } from "#shared/compact/compact-map.ts";

export type LabelMatch = (labels: Labels | undefined) => boolean;

/** Values under which an object is found; none keeps it out of that index. */
export type IndexFunction<T> = (object: T) => readonly string[];

/** Reads a cache. What it gives is shared and possibly frozen: copy before changing (`cloneJson`). */
export interface Lister<T extends KubeObject> {
  /** By `namespace/name`, or `name` for a cluster-scoped object. */
  get(key: string): T | undefined;
  /** All, or those of one namespace. */
  list(namespace?: string): readonly T[];
  /** Those of a namespace whose labels match; no other object is read. */
  labelled(namespace: string | undefined, matches: LabelMatch): readonly T[];
  /** Those that the named index holds under the value, if labels are asked for too: no other object is read. Throws when there
   *  is no such index. */
  byIndex(index: string, value: string, matches?: LabelMatch): readonly T[];
  /** The keys of these, for which no object is read. */
  keysByIndex(index: string, value: string): readonly string[];
  /** How many these are, at no cost. */
  countByIndex(index: string, value: string): number;
  /** Of all; no object is read for them. */
  keys(): IterableIterator<string>;
  readonly size: number;
}

/** Objects by value, then by key. */
type Entries<T> = Map<string, Map<string, T>>;

const byNamespace = "namespace";

/** A cache of objects by key with indexes that follow every change. */
export class ObjectStore<T extends KubeObject> implements Lister<T> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, { readonly of: IndexFunction<T>; readonly entries: Entries<T> }>();

  constructor() {
    this.addIndex(byNamespace, ({ metadata }) => (metadata.namespace ? [metadata.namespace] : []));
  }

  /** Adds an index over what is there already and all to come; an index of that name that exists stays. */
  addIndex(name: string, of: IndexFunction<T>): void {
    if (this.#indexes.has(name)) return;
    const index = { of, entries: new Map<string, Map<string, T>>() };
    this.#indexes.set(name, index);
    for (const [key, object] of this.#objects) enter(index.entries, of(object), key, object);
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  list(namespace?: string): readonly T[] {
    return namespace ? this.byIndex(byNamespace, namespace) : [...this.#objects.values()];
  }

  labelled(namespace: string | undefined, matches: LabelMatch): readonly T[] {
    return this.list(namespace).filter(({ metadata }) => matches(metadata.labels));
  }

  byIndex(name: string, value: string, matches?: LabelMatch): readonly T[] {
    const found = [...(this.#found(name, value)?.values() ?? [])];
    return matches ? found.filter(({ metadata }) => matches(metadata.labels)) : found;
  }

  keysByIndex(name: string, value: string): readonly string[] {
    return [...(this.#found(name, value)?.keys() ?? [])];
  }

  countByIndex(name: string, value: string): number {
    return this.#found(name, value)?.size ?? 0;
  }

  #found(name: string, value: string): ReadonlyMap<string, T> | undefined {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`there is no index ${name}`);
    return index.entries.get(value);
  }

  /** Puts the object in place of one of the same key, and gives that one. */
  set(object: T): T | undefined {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    for (const { of, entries } of this.#indexes.values()) {
      const values = of(object);
      if (old) leave(entries, of(old), key, values);
      enter(entries, values, key, object);
    }
    this.#objects.set(key, object);
    return old;
  }

  delete(key: string): T | undefined {
    const old = this.#objects.get(key);
    if (!old) return undefined;
    for (const { of, entries } of this.#indexes.values()) leave(entries, of(old), key, []);
    this.#objects.delete(key);
    return old;
  }
}

function enter<T>(entries: Entries<T>, values: readonly string[], key: string, object: T): void {
  for (const value of values) {
    const present = entries.get(value);
    if (present) present.set(key, object);
    else entries.set(value, new Map([[key, object]]));
  }
}

/** Takes the object out where it is no longer to be; `kept` spares what comes back at once. */
function leave<T>(entries: Entries<T>, values: readonly string[], key: string, kept: readonly string[]): void {
  for (const value of values) {
    if (kept.includes(value)) continue;
    const present = entries.get(value);
    if (present?.delete(key) && present.size === 0) entries.delete(value);
  }
}

/** Keys by the values of an index function, for who keeps the objects elsewhere. */
export class KeyIndex<T> {
  readonly #of: IndexFunction<T>;
  readonly #keys = new Map<string, Set<string>>();
  /** Most objects have one value: then there is no array. */
  readonly #values = new CompactMap<string | readonly string[]>();

  constructor(of: IndexFunction<T>) {
    this.#of = of;
  }

  keys(value: string): Iterable<string> {
    return this.#keys.get(value) ?? [];
  }

  count(value: string): number {
    return this.#keys.get(value)?.size ?? 0;
  }

  has(key: string, value: string): boolean {
    return this.#keys.get(value)?.has(key) ?? false;
  }

  set(key: string, object: T): void {
    const values = this.#of(object);
    const old = this.#values.get(key);
    if (old !== undefined && values.length === 1 && old === values[0]) return;
    this.delete(key);
    for (const value of values) {
      const present = this.#keys.get(value);
      if (present) present.add(key);
      else this.#keys.set(value, new Set([key]));
    }
    const [first] = values;
    if (first !== undefined) this.#values.set(key, values.length === 1 ? first : values);
  }

  delete(key: string): void {
    const old = this.#values.get(key);
    if (old === undefined) return;
    this.#values.delete(key);
    for (const value of typeof old === "string" ? [old] : old) {
      const present = this.#keys.get(value);
      if (present?.delete(key) && present.size === 0) this.#keys.delete(value);
    }
  }
}
