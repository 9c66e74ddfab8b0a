import { type KubeObject, keyOf } from "#shared/api/object.ts";

/** Values under which an object is found; none keeps it out of that index. */
export type IndexFunction<T> = (object: T) => readonly string[];

/** Reads a cache. What it gives is shared and possibly frozen: copy before changing (`structuredClone`). */
export interface Lister<T extends KubeObject> {
  /** By `namespace/name`, or `name` for a cluster-scoped object. */
  get(key: string): T | undefined;
  /** All, or those of one namespace. */
  list(namespace?: string): readonly T[];
  /** Those that the named index holds under the value. Throws when there is no such index. */
  byIndex(index: string, value: string): readonly T[];
  readonly size: number;
}

const byNamespace = "namespace";

/** A cache of objects by key with indexes that follow every change. */
export class ObjectStore<T extends KubeObject> implements Lister<T> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, { readonly of: IndexFunction<T>; readonly keys: Map<string, Set<string>> }>();

  constructor() {
    this.addIndex(byNamespace, ({ metadata }) => (metadata.namespace ? [metadata.namespace] : []));
  }

  /** Adds an index over what is there already and all to come; an index of that name that exists stays. */
  addIndex(name: string, of: IndexFunction<T>): void {
    if (this.#indexes.has(name)) return;
    const index = { of, keys: new Map<string, Set<string>>() };
    this.#indexes.set(name, index);
    for (const [key, object] of this.#objects) enter(index.keys, of(object), key);
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

  byIndex(name: string, value: string): readonly T[] {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`there is no index ${name}`);
    const found: T[] = [];
    for (const key of index.keys.get(value) ?? []) {
      const object = this.#objects.get(key);
      if (object) found.push(object);
    }
    return found;
  }

  /** Puts the object in place of one of the same key, and gives that one. */
  set(object: T): T | undefined {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    for (const { of, keys } of this.#indexes.values()) {
      if (old) leave(keys, of(old), key);
      enter(keys, of(object), key);
    }
    this.#objects.set(key, object);
    return old;
  }

  delete(key: string): T | undefined {
    const old = this.#objects.get(key);
    if (!old) return undefined;
    for (const { of, keys } of this.#indexes.values()) leave(keys, of(old), key);
    this.#objects.delete(key);
    return old;
  }
}

function enter(keys: Map<string, Set<string>>, values: readonly string[], key: string): void {
  for (const value of values) {
    const present = keys.get(value);
    if (present) present.add(key);
    else keys.set(value, new Set([key]));
  }
}

function leave(keys: Map<string, Set<string>>, values: readonly string[], key: string): void {
  for (const value of values) {
    const present = keys.get(value);
    if (present?.delete(key) && present.size === 0) keys.delete(value);
  }
}
