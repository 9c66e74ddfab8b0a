/** Values made of other ones, part by part. Of a value that is owned those parts stay that need no change: a body may have a million. */
import { setField } from "../codec/json.ts";
import { isRawNumber } from "../codec/number.ts";
import { canonicalInteger } from "./scalars.ts";

/** Arbitrary JSON as Go's untyped decoder holds it: whole numbers exactly, all others as doubles, fields sorted. */
export function plainValue(value: unknown, isOwned: boolean): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (isRawNumber(value)) return canonicalInteger(value, "int64") ?? Number(value.rawJSON);
  return Array.isArray(value) ? plainList(value, isOwned) : plainFields(value as Record<string, unknown>, isOwned);
}

// As eachItem and eachField, but make nothing for a value that stays as it is: there may be a million.

function plainList(list: readonly unknown[], isOwned: boolean): readonly unknown[] {
  let result: unknown[] | undefined = isOwned ? undefined : [];
  for (let index = 0; index < list.length; index += 1) {
    const next = plainValue(list[index], isOwned);
    if (!result && next !== list[index]) result = list.slice(0, index);
    result?.push(next);
  }
  return result ?? list;
}

function plainFields(fields: Record<string, unknown>, isOwned: boolean): Record<string, unknown> {
  let result: Record<string, unknown> | undefined = isOwned ? undefined : {};
  let isInOrder = true;
  let last = "";
  for (const key in fields) {
    if (key < last) isInOrder = false;
    last = key;
    const next = plainValue(fields[key], isOwned);
    if (!result && (next === undefined || next !== fields[key])) result = membersBefore(fields, key);
    if (result && next !== undefined) setField(result, key, next);
  }
  return isInOrder ? (result ?? fields) : sorted(result ?? fields);
}

function membersBefore(fields: Record<string, unknown>, end: string): Record<string, unknown> {
  const members: Record<string, unknown> = {};
  for (const key in fields) {
    if (key === end) break;
    setField(members, key, fields[key]);
  }
  return members;
}

/** The items as they are made of those of a list: that list where it is owned, and none is another. */
export function eachItem(
  list: readonly unknown[],
  isOwned: boolean,
  made: (item: unknown, index: number) => unknown,
): readonly unknown[] {
  let result: unknown[] | undefined = isOwned ? undefined : [];
  for (let index = 0; index < list.length; index += 1) {
    const next = made(list[index], index);
    if (!result && next !== list[index]) result = list.slice(0, index);
    result?.push(next);
  }
  return result ?? list;
}

/**
 * The fields as they are made of those of an object, sorted by name, without those that become undefined: that object where it is
 * owned, in order, and none is another.
 * @param walk the order in which they are looked at, and their faults found.
 */
export function eachField(
  fields: Record<string, unknown>,
  isOwned: boolean,
  made: (value: unknown, key: string) => unknown,
  walk: "asTheyStand" | "sorted" = "sorted",
): Record<string, unknown> {
  const keys = Object.keys(fields);
  // Maps mostly come as Go's encoder writes them.
  const isInOrder = areInOrder(keys);
  if (!isInOrder && walk === "sorted") keys.sort();
  let result: Record<string, unknown> | undefined = isOwned && isInOrder ? undefined : {};
  for (let index = 0; index < keys.length; index += 1) {
    const key = keys[index] as string;
    const value = fields[key];
    // A field that an in-process client leaves undefined is not there, as in JSON.
    const next = value === undefined ? undefined : made(value, key);
    if (!result && (next === undefined || next !== value)) result = membersBefore(fields, key);
    if (result && next !== undefined) setField(result, key, next);
  }
  if (!result) return fields;
  return isInOrder || walk === "sorted" ? result : sorted(result);
}

function membersOf(fields: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  const members: Record<string, unknown> = {};
  for (const key of keys) setField(members, key, fields[key]);
  return members;
}

function areInOrder(keys: readonly string[]): boolean {
  for (let index = 1; index < keys.length; index += 1)
    if ((keys[index - 1] as string) > (keys[index] as string)) return false;
  return true;
}

export const sorted = (fields: Record<string, unknown>): Record<string, unknown> =>
  membersOf(fields, Object.keys(fields).sort());
