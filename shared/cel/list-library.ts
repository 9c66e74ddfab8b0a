/** Functions of lists: cel-go's ext.Lists, as Kubernetes has it since 1.34. */
import { equal } from "./equality.ts";
import { CostExceeded, work } from "./frame.ts";
import { type Implementation, namespaced, type Overload, overload } from "./functions.ts";
import { compareAll } from "./run-costs.ts";
import { ArrayList, CelError, compare, List, type Value } from "./values.ts";

/** More than any run may cost: what would come to it is not begun. */
const MOST_COST = 10_000_000;

const affordable = (cost: number): void => {
  if (cost > MOST_COST) throw new CostExceeded();
};

function slice(list: List, from: bigint, to: bigint): Value {
  const refuse = (why: string): never => {
    throw new CelError(`cannot slice(${from}, ${to}), ${why}`);
  };
  if (from < 0n || to < 0n) refuse("negative indexes not supported");
  if (from > to) refuse("start index must be less than or equal to end index");
  if (to > BigInt(list.size)) refuse(`list is length ${list.size}`);
  return new ArrayList([...list.values()].slice(Number(from), Number(to)));
}

function flat(list: List, depth: bigint): Value[] {
  if (depth < 0n) throw new CelError("level must be non-negative");
  work(list.size);
  return [...list.values()].flatMap((item) => (item instanceof List && depth > 0n ? flat(item, depth - 1n) : [item]));
}

function range(count: bigint): Value {
  affordable(Number(count));
  return new ArrayList(Array.from({ length: Math.max(Number(count), 0) }, (_, index) => BigInt(index)));
}

function distinct(list: List): Value {
  affordable(compareAll(list));
  const kept: Value[] = [];
  for (const item of list.values()) if (!kept.some((other) => equal(other, item))) kept.push(item);
  return new ArrayList(kept);
}

function sorted(list: List, keys: List = list): Value {
  affordable(compareAll(keys));
  const indices = Array.from({ length: list.size }, (_, index) => index);
  indices.sort((a, b) => {
    const order = compare(keys.get(a), keys.get(b));
    if (order === undefined) throw new CelError("list elements must have the same type");
    return order;
  });
  return new ArrayList(indices.map((index) => list.get(index)));
}

const comparable = ["int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"];

export const listLibrary: readonly Overload[] = [
  overload("list(A).slice(int, int) -> list(A)", slice as Implementation),
  overload("list(list(A)).flatten() -> list(A)", (list: List) => new ArrayList(flat(list, 1n))),
  overload("list(dyn).flatten(int) -> list(dyn)", (list: List, depth: bigint) => new ArrayList(flat(list, depth))),
  namespaced("lists.range", "(int) -> list(int)", range as Implementation),
  overload("list(A).reverse() -> list(A)", (list: List) => new ArrayList([...list.values()].reverse())),
  overload("list(A).distinct() -> list(A)", distinct as Implementation),
  ...comparable.flatMap((type) => [
    overload(`list(${type}).sort() -> list(${type})`, (list: List) => sorted(list)),
    overload(`list(A).@sortByAssociatedKeys(list(${type})) -> list(A)`, sorted as Implementation),
  ]),
];
