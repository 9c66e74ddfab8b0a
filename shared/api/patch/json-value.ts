/**
 * Decoded JSON as the API server holds it: plain objects and arrays, and numbers that a double cannot carry (or that were
 * written `1.0`) as RawNumber. Keys may be any text, `__proto__` included, so members are read and written by
 * the functions here. Values are never changed in place: live objects are shared and frozen.
 */

import { isRawNumber, numberToken } from "../codec/number.ts";
import { compareBytes } from "../selector/go-quote.ts";

export type JsonObject = Record<string, unknown>;

/** A JSON object; false for null, arrays and raw numbers. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isRawNumber(value);
}

/** A member that the object itself has; undefined for what it has not or inherits. */
export function member(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

export function setMember(object: JsonObject, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[key] = value;
  }
}

/** Own enumerable members; a shallow copy that keeps `__proto__`. */
export function copyObject(object: JsonObject): JsonObject {
  const copy: JsonObject = {};
  for (const key of Object.keys(object)) setMember(copy, key, object[key]);
  return copy;
}

/** The same value with all members in the order of their names, as Go writes maps. */
export function inKeyOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inKeyOrder);
  if (!isJsonObject(value)) return value;
  const ordered: JsonObject = {};
  for (const key of Object.keys(value).sort(compareBytes)) setMember(ordered, key, inKeyOrder(value[key]));
  return ordered;
}

/** A value as Go writes it: members in order, and what HTML would take for its own escaped. */
export function goJson(value: unknown): string {
  return goEscaped(inKeyOrder(value));
}

/** The same with members as they stand. */
export function goEscaped(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Drops null members, at any depth; null elements of arrays stay. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isJsonObject(value)) return value;
  const kept: JsonObject = {};
  for (const key of Object.keys(value)) if (value[key] !== null) setMember(kept, key, withoutNulls(value[key]));
  return kept;
}

/** A deep copy; raw numbers are immutable and shared. */
export function cloneJson<T>(value: T): T {
  if (Array.isArray(value)) return value.map((each) => cloneJson(each)) as T;
  if (!isJsonObject(value)) return value;
  const copy: JsonObject = {};
  for (const key of Object.keys(value)) setMember(copy, key, cloneJson(value[key]));
  return copy as T;
}

/** Whether two values are the same JSON; numbers by value, object members in any order. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return equalNumbers(a, b);
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!equalJson(a[i], b[i])) return false;
    return true;
  }
  if (Array.isArray(b)) return false;
  if (!isJsonObject(a) || !isJsonObject(b)) return equalNumbers(a, b);
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  for (const key of keys) if (!Object.hasOwn(b, key) || !equalJson(a[key], b[key])) return false;
  return true;
}

function equalNumbers(a: unknown, b: unknown): boolean {
  const aText = numberToken(a);
  const bText = numberToken(b);
  if (aText === undefined || bText === undefined) return false;
  if (aText === bText) return true;
  // Two integers are compared exactly, anything else as doubles, as structured-merge-diff does.
  return !isIntegerText(aText) || !isIntegerText(bText)
    ? Number(aText) === Number(bText)
    : BigInt(aText) === BigInt(bText);
}

export const isIntegerText = (text: string): boolean => /^-?[0-9]+$/.test(text);
