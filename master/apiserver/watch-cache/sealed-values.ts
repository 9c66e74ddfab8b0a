/** A value of the store that is no object, or none that can be read. */
export interface Unreadable {
  readonly revision: number;
  readonly why: string;
}

/** The values of one resource that cannot be read for now, by their keys below its prefix. */
export class SealedValues {
  readonly #values = new Map<string, Unreadable>();

  get size(): number {
    return this.#values.size;
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  at(key: string): Unreadable | undefined {
    return this.#values.get(key);
  }

  /** In one namespace or in all. */
  first(namespace?: string): (Unreadable & { readonly key: string }) | undefined {
    const begin = namespace ? `${namespace}/` : "";
    let first: string | undefined;
    for (const key of this.#values.keys())
      if (key.startsWith(begin) && (first === undefined || key < first)) first = key;
    const value = first === undefined ? undefined : this.#values.get(first);
    return value && first !== undefined ? { ...value, key: first } : undefined;
  }

  set(key: string, value: Unreadable): void {
    this.#values.set(key, value);
  }

  delete(key: string): void {
    this.#values.delete(key);
  }

  clear(): void {
    this.#values.clear();
  }
}
