import type { KubeObject } from "#shared/api/object.ts";
import type { SharedCache } from "./shared-cache.ts";
import { type IndexFunction, KeyIndex, type LabelMatch, type Lister } from "./store-index.ts";

/** Reads a cache that somebody else keeps, once it is open, with indexes of keys of its own. */
export class SharedLister<T extends KubeObject> implements Lister<T> {
  readonly #cache: SharedCache<T>;
  readonly #indexes = new Map<string, KeyIndex<T>>();
  #isOpen = false;

  constructor(cache: SharedCache<T>) {
    this.#cache = cache;
  }

  /** Shows nothing before and after. */
  set isOpen(isOpen: boolean) {
    this.#isOpen = isOpen;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get size(): number {
    return this.#isOpen ? this.#cache.size : 0;
  }

  get(key: string): T | undefined {
    return this.#isOpen ? this.#cache.get(key)?.view() : undefined;
  }

  keys(): IterableIterator<string> {
    return this.#isOpen ? this.#cache.keys() : [].values();
  }

  list(namespace?: string): readonly T[] {
    return this.#isOpen ? this.#cache.list(namespace).map((object) => object.view()) : [];
  }

  labelled(namespace: string | undefined, matches: LabelMatch): readonly T[] {
    return this.#isOpen ? this.#cache.labelled(namespace, matches).map((object) => object.view()) : [];
  }

  keysByIndex(name: string, value: string): readonly string[] {
    const index = this.#index(name);
    return this.#isOpen ? [...index.keys(value)] : [];
  }

  countByIndex(name: string, value: string): number {
    const index = this.#index(name);
    return this.#isOpen ? index.count(value) : 0;
  }

  #index(name: string): KeyIndex<T> {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`there is no index ${name}`);
    return index;
  }

  byIndex(name: string, value: string, matches?: LabelMatch): readonly T[] {
    const found: T[] = [];
    for (const key of this.keysByIndex(name, value)) {
      if (matches && !matches(this.#cache.labelsOf(key))) continue;
      const object = this.#cache.get(key);
      if (object) found.push(object.view());
    }
    return found;
  }

  /** Covers what is there already if the cache is open; an index of that name that exists stays. */
  addIndex(name: string, of: IndexFunction<T>): void {
    if (this.#indexes.has(name)) return;
    const index = new KeyIndex<T>(of);
    this.#indexes.set(name, index);
    if (this.#isOpen) for (const object of this.#cache.list()) index.set(object.key, object.view());
  }

  /** Puts a key where the indexes want it, by what the cache shows now. */
  index(key: string): void {
    if (this.#indexes.size === 0) return;
    const object = this.#cache.get(key);
    for (const index of this.#indexes.values()) {
      if (object) index.set(key, object.view());
      else index.delete(key);
    }
  }
}
