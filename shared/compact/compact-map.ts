/**
 * A map of very many strings in little memory. The engine's own grows to eight times its size at 16,384 entries: one of 20,000
 * takes 170 bytes an entry, this one about 35, for some 100 ns more at a look.
 *
 * Keys and values lie in two lists; a table of their places, addressed by a hash and at most two thirds full, leads there. Places of
 * deleted entries are used again, so the order of entries is none that can be relied on.
 */
export class CompactMap<V> {
  #keys: (string | undefined)[] = [];
  #values: (V | undefined)[] = [];
  #free: number[] = [];
  /** Places, counted from 1; 0: nothing. */
  #table = new Uint32Array(smallest);

  constructor(entries: Iterable<readonly [string, V]> = []) {
    for (const [key, value] of entries) this.set(key, value);
  }

  get size(): number {
    return this.#keys.length - this.#free.length;
  }

  has(key: string): boolean {
    return this.#table[this.#slotOf(key)] !== 0;
  }

  get(key: string): V | undefined {
    const place = this.#table[this.#slotOf(key)] as number;
    return place === 0 ? undefined : this.#values[place - 1];
  }

  set(key: string, value: V): this {
    const slot = this.#slotOf(key);
    const place = this.#table[slot] as number;
    if (place !== 0) {
      this.#values[place - 1] = value;
      return this;
    }
    const index = this.#free.pop() ?? this.#keys.length;
    this.#keys[index] = key;
    this.#values[index] = value;
    this.#table[slot] = index + 1;
    if (this.size * 3 > this.#table.length * 2) this.#resize(this.#table.length * 2);
    return this;
  }

  delete(key: string): boolean {
    const slot = this.#slotOf(key);
    const place = this.#table[slot] as number;
    if (place === 0) return false;
    this.#keys[place - 1] = undefined;
    this.#values[place - 1] = undefined;
    this.#free.push(place - 1);
    this.#close(slot);
    if (this.#table.length > smallest && this.size * 6 < this.#table.length) this.#resize(this.#table.length / 2);
    return true;
  }

  clear(): void {
    this.#keys = [];
    this.#values = [];
    this.#free = [];
    this.#table = new Uint32Array(smallest);
  }

  /** Each entry that is there from beginning to end once, whatever is set and deleted meanwhile. */
  *[Symbol.iterator](): IterableIterator<[string, V]> {
    const [keys, values] = [this.#keys, this.#values];
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index];
      if (key === undefined) continue;
      if (keys === this.#keys) yield [key, values[index] as V];
      else if (this.has(key)) yield [key, this.get(key) as V];
    }
  }

  *keys(): IterableIterator<string> {
    for (const [key] of this) yield key;
  }

  *values(): IterableIterator<V> {
    for (const [, value] of this) yield value;
  }

  /** Where the key's place stands in the table, or where it would. */
  #slotOf(key: string): number {
    const mask = this.#table.length - 1;
    let slot = hashOf(key) & mask;
    for (;;) {
      const place = this.#table[slot] as number;
      if (place === 0 || this.#keys[place - 1] === key) return slot;
      slot = (slot + 1) & mask;
    }
  }

  /** Empties a slot, and moves those up that are found only past it (linear probing without marks of deletion). */
  #close(emptied: number): void {
    const mask = this.#table.length - 1;
    let hole = emptied;
    this.#table[hole] = 0;
    for (let slot = (hole + 1) & mask; this.#table[slot] !== 0; slot = (slot + 1) & mask) {
      const place = this.#table[slot] as number;
      const home = hashOf(this.#keys[place - 1] as string) & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      this.#table[hole] = place;
      this.#table[slot] = 0;
      hole = slot;
    }
  }

  /** Makes the table of another length; lists become dense. */
  #resize(length: number): void {
    const keys: string[] = [];
    const values: V[] = [];
    for (const [key, value] of this) {
      keys.push(key);
      values.push(value);
    }
    this.#keys = keys;
    this.#values = values;
    this.#free = [];
    this.#table = new Uint32Array(length);
    keys.forEach((key, index) => {
      this.#table[this.#slotOf(key)] = index + 1;
    });
  }
}

/** A power of two, as every length of a table. */
const smallest = 16;

/** Of this process: nobody can choose names that collide. */
const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
const hashOf = (key: string): number => Bun.hash.xxHash32(key, seed);
