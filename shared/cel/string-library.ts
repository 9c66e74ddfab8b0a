/** Functions on text: those of the language and its strings extension. */

import { RE2JS } from "re2js";
import { messageOf } from "#shared/api/joined-errors.ts";
import { BoundedMap } from "../compact/bounded-map.ts";
import { work } from "./frame.ts";
import { type Implementation, namespaced, type Overload, overload } from "./functions.ts";
import { format } from "./text-format.ts";
import { ArrayList, CelError, type List } from "./values.ts";

const MAX_PATTERNS = 1000;
const patterns = new BoundedMap<RE2JS>(MAX_PATTERNS);

/** Compiled once; the number kept is bounded. Throws CelError. */
export function patternOf(text: string): RE2JS {
  const known = patterns.get(text);
  if (known) return known;
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(text);
  } catch (error) {
    // Its messages are Go's.
    throw new CelError(messageOf(error));
  }
  patterns.set(text, compiled);
  return compiled;
}

const matches = (text: string, pattern: string): boolean => patternOf(pattern).matcher(text).find();

/** Texts are counted in code points. */
const points = (text: string): string[] => [...text];

function indexIn(text: string, part: string, from: bigint): bigint {
  const [letters, wanted] = [points(text), points(part)];
  if (part === "") return from;
  const start = Number(from);
  if (start < 0) throw new CelError(`index out of range: ${start}`);
  for (let at = start; at + wanted.length <= letters.length; at += 1) {
    if (wanted.every((letter, offset) => letters[at + offset] === letter)) return BigInt(at);
  }
  return -1n;
}

function lastIndexIn(text: string, part: string, until: bigint | undefined): bigint {
  const [letters, wanted] = [points(text), points(part)];
  if (part === "") return until ?? BigInt(letters.length);
  const end = until === undefined ? letters.length : Number(until);
  if (end < 0) throw new CelError(`index out of range: ${end}`);
  if (until !== undefined && end >= letters.length) return -1n;
  for (let at = Math.min(end, letters.length - wanted.length); at >= 0; at -= 1) {
    if (wanted.every((letter, offset) => letters[at + offset] === letter)) return BigInt(at);
  }
  return -1n;
}

function substring(text: string, from: bigint, to: bigint | undefined): string {
  const letters = points(text);
  const [start, end] = [Number(from), to === undefined ? letters.length : Number(to)];
  if (start < 0 || start > letters.length) throw new CelError(`index out of range: ${start}`);
  if (end < 0 || end > letters.length) throw new CelError(`index out of range: ${end}`);
  if (start > end) throw new CelError(`invalid substring range. start: ${start}, end: ${end}`);
  return letters.slice(start, end).join("");
}

function split(text: string, separator: string, limit: bigint): List {
  const count = Number(limit);
  if (count === 0) return new ArrayList([]);
  const parts = separator === "" ? points(text) : text.split(separator);
  if (count < 0 || parts.length <= count) return new ArrayList(parts);
  const kept = parts.slice(0, count - 1);
  return new ArrayList([...kept, parts.slice(count - 1).join(separator)]);
}

function replaced(text: string, from: string, to: string, limit: bigint): string {
  let left = limit < 0n ? Infinity : Number(limit);
  work(text.length + Math.min(left, places(text, from)) * to.length);
  if (from === "")
    return left === Infinity
      ? points(text)
          .map((letter) => to + letter)
          .join("") + to
      : text;
  return text.replaceAll(from, (whole) => (left-- > 0 ? to : whole));
}

/** Where a text may stand in another, at most. */
function places(text: string, part: string): number {
  if (part === "") return text.length + 1;
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count += 1;
  return count;
}

function charAt(text: string, index: bigint): string {
  const letters = points(text);
  if (index < 0n || index > letters.length) throw new CelError(`index out of range: ${index}`);
  return letters[Number(index)] ?? "";
}

function joined(list: List, separator: string): string {
  const parts = [...list.values()].map((part) => {
    if (typeof part !== "string") throw new CelError("no such overload");
    work(part.length + separator.length);
    return part;
  });
  return parts.join(separator);
}

const ascii = (text: string, from: RegExp, to: (letter: string) => string): string => text.replace(from, to);

export const stringLibrary: readonly Overload[] = [
  overload("string.contains(string) -> bool", (a: string, b: string) => a.includes(b)),
  overload("string.startsWith(string) -> bool", (a: string, b: string) => a.startsWith(b)),
  overload("string.endsWith(string) -> bool", (a: string, b: string) => a.endsWith(b)),
  overload("string.matches(string) -> bool", matches as Implementation),
  overload("matches(string, string) -> bool", matches as Implementation),
  overload("string.charAt(int) -> string", charAt as Implementation),
  overload("string.indexOf(string) -> int", (a: string, b: string) => indexIn(a, b, 0n)),
  overload("string.indexOf(string, int) -> int", indexIn as Implementation),
  overload("string.lastIndexOf(string) -> int", (a: string, b: string) => lastIndexIn(a, b, undefined)),
  overload("string.lastIndexOf(string, int) -> int", lastIndexIn as Implementation),
  overload("string.lowerAscii() -> string", (a: string) => ascii(a, /[A-Z]/g, (c) => c.toLowerCase())),
  overload("string.upperAscii() -> string", (a: string) => ascii(a, /[a-z]/g, (c) => c.toUpperCase())),
  overload("string.replace(string, string) -> string", (a: string, b: string, c: string) => replaced(a, b, c, -1n)),
  overload("string.replace(string, string, int) -> string", replaced as Implementation),
  overload("string.split(string) -> list(string)", (a: string, b: string) => split(a, b, -1n)),
  overload("string.split(string, int) -> list(string)", split as Implementation),
  overload("string.substring(int) -> string", (a: string, from: bigint) => substring(a, from, undefined)),
  overload("string.substring(int, int) -> string", substring as Implementation),
  overload("string.trim() -> string", (a: string) => a.trim()),
  overload("string.format(list(dyn)) -> string", format as Implementation),
  overload("list(string).join() -> string", (list: List) => joined(list, "")),
  overload("list(string).join(string) -> string", joined as Implementation),
  namespaced("strings.quote", "(string) -> string", (a: string) => JSON.stringify(a)),
];
