import { compareKeys } from "../../store/key-order.ts";
import type { Entry } from "./entry.ts";

/** Where the first of sorted entries stands whose key is not before `key`. */
export function lowerBound(entries: readonly Entry[], key: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareKeys((entries[middle] as Entry).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The part of sorted entries that are of one namespace. */
export function rangeOf(entries: readonly Entry[], namespace: string): [number, number] {
  // "0" comes right behind "/".
  return [lowerBound(entries, `${namespace}/`), lowerBound(entries, `${namespace}0`)];
}
