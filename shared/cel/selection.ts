/** What fields and indices find in a value, and what looking there costs. */
import type { Frame } from "./frame.ts";
import { CelError, List, MapValue, Optional, Uint, type Value } from "./values.ts";

/** `has(…)`: the field alone costs, not what it is looked for in. */
export function isSet(frame: Frame, outer: Value, field: string): boolean {
  const inner = outer instanceof Optional ? outer.value : outer;
  if (inner === undefined) return false;
  frame.spend(1);
  return lookUp(inner, field) !== undefined;
}

/** What is not there costs nothing. */
export function ifPresent(frame: Frame, outer: Value, find: (inner: Value) => Value | undefined): Optional {
  const inner = outer instanceof Optional ? outer.value : outer;
  const found = inner === undefined ? undefined : find(inner);
  if (found === undefined) return Optional.none;
  frame.spend(1);
  return new Optional(found);
}

export function lookUp(outer: Value, field: string): Value | undefined {
  if (outer instanceof MapValue) return outer.get(field);
  throw new CelError(outer === null ? `no such key: ${field}` : "no such overload");
}

export function elementOf(outer: Value, at: Value): Value | undefined {
  if (outer instanceof MapValue) return outer.get(at);
  if (!(outer instanceof List)) throw new CelError("no such overload");
  const index = typeof at === "bigint" ? Number(at) : at instanceof Uint ? Number(at.value) : at;
  if (typeof index !== "number" || !Number.isInteger(index)) throw new CelError("unsupported index type");
  return index >= 0 && index < outer.size ? outer.get(index) : undefined;
}
