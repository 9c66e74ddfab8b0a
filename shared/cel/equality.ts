/** Whether values are the same, and sums of lists, which keep what is the same once. */
import { work } from "./frame.ts";
import {
  ArrayList,
  Duration,
  isOpaque,
  keyText,
  List,
  MapValue,
  numeric,
  ObjectValue,
  Optional,
  Timestamp,
  TypeValue,
  type Value,
} from "./values.ts";

/** CEL's equality: never an error, numbers of any type by value. */
export function equal(a: Value, b: Value): boolean {
  if (a === b) return true;
  work(1);
  const [left, right] = [numeric(a), numeric(b)];
  // biome-ignore lint/suspicious/noDoubleEquals: bigint and number are to be equal by value.
  if (left !== undefined && right !== undefined) return left == right;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if (a instanceof List) return b instanceof List && equalLists(a, b);
  if (a instanceof MapValue) return b instanceof MapValue && isSameType(a, b) && equalMaps(a, b);
  if (a instanceof Timestamp) return b instanceof Timestamp && a.nanoseconds === b.nanoseconds;
  if (a instanceof Duration) return b instanceof Duration && a.nanoseconds === b.nanoseconds;
  if (a instanceof TypeValue) return b instanceof TypeValue && a.typeName === b.typeName;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (a instanceof Optional) return b instanceof Optional && equalOptionals(a, b);
  return isOpaque(a) && isOpaque(b) && a.opaqueType === b.opaqueType && a.equals(b);
}

/** A map is of no declared type. */
const isSameType = (a: MapValue, b: MapValue): boolean =>
  (a instanceof ObjectValue ? a.typeName : undefined) === (b instanceof ObjectValue ? b.typeName : undefined);

function equalOptionals(a: Optional, b: Optional): boolean {
  if (a.value === undefined || b.value === undefined) return a.value === b.value;
  return equal(a.value, b.value);
}

function equalLists(a: List, b: List): boolean {
  if (a.size !== b.size) return false;
  const keys = a.keys ?? b.keys;
  if (!keys) {
    for (let index = 0; index < a.size; index += 1) if (!equal(a.get(index), b.get(index))) return false;
    return true;
  }
  const others = new KeyedItems(keys, b);
  for (const item of a.values()) if (!others.take(item)) return false;
  return true;
}

function equalMaps(a: MapValue, b: MapValue): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a.entries()) {
    const other = b.get(key);
    if (other === undefined || !equal(value, other)) return false;
  }
  return true;
}

/** The sum of two lists; sets and maps stay such: what is there already is kept, or replaced by its key. */
export function concatenated(a: List, b: List): List {
  work(a.size + b.size);
  const { keys } = a;
  if (!keys) return new ArrayList([...a.values(), ...b.values()]);
  const items = new KeyedItems(keys, a);
  for (const item of b.values()) items.put(item);
  return new ArrayList(items.all, keys);
}

/** The items of a set, or of a map by some fields, found by what tells them apart: a client may send many. */
class KeyedItems {
  readonly all: Value[] = [];
  /** Where items stand whose keys have the same text; those of what has none stand together. */
  readonly #places = new Map<string, number[]>();

  constructor(
    private readonly keys: readonly string[],
    items: List,
  ) {
    for (const item of items.values()) this.#add(item);
  }

  /** Takes one out that is equal. */
  take(item: Value): boolean {
    const places = this.#places.get(this.#textOf(item)) ?? [];
    const at = places.findIndex((place) => equal(item, this.all[place] ?? null));
    if (at >= 0) places.splice(at, 1);
    return at >= 0;
  }

  /** In the place of the one of the same keys, if there is one. */
  put(item: Value): void {
    const isSame = (place: number): boolean => {
      const other = this.all[place] ?? null;
      if (this.keys.length === 0) return equal(item, other);
      return this.keys.every((key) => equal(fieldOf(item, key), fieldOf(other, key)));
    };
    const at = this.#places.get(this.#textOf(item))?.find(isSame);
    if (at === undefined) this.#add(item);
    else if (this.keys.length > 0) this.all[at] = item;
  }

  #add(item: Value): void {
    const text = this.#textOf(item);
    const places = this.#places.get(text);
    if (places) places.push(this.all.length);
    else this.#places.set(text, [this.all.length]);
    this.all.push(item);
  }

  #textOf(item: Value): string {
    if (this.keys.length === 0) return keyText(item) ?? "";
    return JSON.stringify(this.keys.map((key) => keyText(fieldOf(item, key)) ?? ""));
  }
}

const fieldOf = (item: Value, key: string): Value => (item instanceof MapValue ? (item.get(key) ?? null) : null);
