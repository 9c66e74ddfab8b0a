/** Functions on text: those of the language and its strings extension. */
import { RE2JS } from "re2js";
import { type Implementation, namespaced, type Overload, overload } from "./functions.ts";
import {
  ArrayList,
  CelError,
  isOpaque,
  List,
  MapValue,
  TypeValue,
  toJson,
  typeNameOf,
  Uint,
  type Value,
} from "./values.ts";

/** Texts cost a tenth of their length to walk. */
export const walk = (...texts: Value[]): number =>
  Math.ceil(
    texts.reduce(
      (sum: number, text) =>
        sum + (typeof text === "string" ? text.length : text instanceof Uint8Array ? text.length : 0),
      0,
    ) * 0.1,
  );
export const walked: Overload["cost"] = (args) => walk(...args);
const walkedTarget: Overload["cost"] = ([target]) => walk(target ?? null);

export const formatDouble = (value: number): string =>
  Number.isNaN(value) ? "NaN" : value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value);

const patterns = new Map<string, RE2JS>();
const MAX_PATTERNS = 1000;

/** Compiled once; the number kept is bounded. Throws CelError. */
export function patternOf(text: string): RE2JS {
  const known = patterns.get(text);
  if (known) return known;
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(text);
  } catch (error) {
    throw new CelError(`error parsing regexp: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (patterns.size >= MAX_PATTERNS) patterns.clear();
  patterns.set(text, compiled);
  return compiled;
}

const matches = (text: string, pattern: string): boolean => patternOf(pattern).matcher(text).find();
const matchCost: Overload["cost"] = ([text, pattern]) => {
  const [a, b] = [typeof text === "string" ? text.length : 0, typeof pattern === "string" ? pattern.length : 0];
  return Math.ceil((1 + a) * 0.1) * Math.ceil(b * 0.25);
};

/** Texts are counted in code points. */
const points = (text: string): string[] => [...text];

function indexIn(text: string, part: string, from: bigint): bigint {
  const [letters, wanted] = [points(text), points(part)];
  const start = Number(from);
  if (start < 0 || start > letters.length) throw new CelError(`index out of range: ${start}`);
  for (let at = start; at + wanted.length <= letters.length; at += 1) {
    if (wanted.every((letter, offset) => letters[at + offset] === letter)) return BigInt(at);
  }
  return -1n;
}

function lastIndexIn(text: string, part: string, until: bigint | undefined): bigint {
  const [letters, wanted] = [points(text), points(part)];
  const end = until === undefined ? letters.length : Number(until);
  if (end < 0 || end > letters.length) throw new CelError(`index out of range: ${end}`);
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
  if (from === "")
    return left === Infinity
      ? points(text)
          .map((letter) => to + letter)
          .join("") + to
      : text;
  return text.replaceAll(from, (whole) => (left-- > 0 ? to : whole));
}

function charAt(text: string, index: bigint): string {
  const letters = points(text);
  if (index < 0n || index > letters.length) throw new CelError(`index out of range: ${index}`);
  return letters[Number(index)] ?? "";
}

function joined(list: List, separator: string): string {
  return [...list.values()]
    .map((part) => {
      if (typeof part !== "string") throw new CelError("no such overload");
      return part;
    })
    .join(separator);
}

const ascii = (text: string, from: RegExp, to: (letter: string) => string): string => text.replace(from, to);

function formatted(template: string, args: List): string {
  let next = 0;
  return template.replace(/%(?:\.(\d+))?([sdfexXob%])/g, (_, precision: string | undefined, verb: string) => {
    if (verb === "%") return "%";
    if (next >= args.size) throw new CelError(`index ${next} out of range`);
    const value = args.get(next);
    next += 1;
    return formattedValue(value, verb, precision);
  });
}

type Verb = (value: Value, precision: string | undefined) => string | undefined;

const numberOf = (value: Value): bigint | number | undefined =>
  typeof value === "bigint" || typeof value === "number" ? value : value instanceof Uint ? value.value : undefined;

const wholeIn = (value: Value, base: number): string | undefined => {
  const number = numberOf(value);
  return typeof number === "bigint" ? number.toString(base) : undefined;
};

function fraction(value: Value, print: (value: number) => string): string | undefined {
  const number = numberOf(value);
  return number === undefined ? undefined : print(Number(number));
}

function hex(value: Value): string | undefined {
  if (typeof value === "string" || value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return wholeIn(value, 16);
}

/** undefined: the verb does not take such a value. */
const verbs: Readonly<Record<string, Verb>> = {
  s: shown,
  d: (value) => wholeIn(value, 10),
  f: (value, precision) => fraction(value, (number) => number.toFixed(Number(precision ?? 6))),
  e: (value, precision) =>
    fraction(value, (number) => number.toExponential(Number(precision ?? 6)).replace(/e([+-])(\d)$/, "e$10$2")),
  b: (value) => (typeof value === "boolean" ? String(Number(value)) : wholeIn(value, 2)),
  o: (value) => wholeIn(value, 8),
  x: hex,
  X: (value) => hex(value)?.toUpperCase(),
};

function formattedValue(value: Value, verb: string, precision: string | undefined): string {
  const text = verbs[verb]?.(value, precision);
  if (text !== undefined) return text;
  throw new CelError(`error during formatting: ${verb} cannot take a value of type ${typeNameOf(value)}`);
}

function shown(value: Value): string {
  if (typeof value === "string") return value;
  if (value === null) return "null";
  if (typeof value === "number") return formatDouble(value);
  if (value instanceof Uint) return String(value.value);
  if (typeof value !== "object") return String(value);
  if (value instanceof List) return `[${[...value.values()].map(shown).join(", ")}]`;
  if (value instanceof MapValue)
    return `{${[...value.entries()].map(([key, each]) => `${shown(key)}: ${shown(each)}`).join(", ")}}`;
  if (value instanceof TypeValue) return value.typeName;
  if (isOpaque(value)) return value.opaqueType;
  return String(toJson(value));
}

export const stringLibrary: readonly Overload[] = [
  overload("string.contains(string) -> bool", (a: string, b: string) => a.includes(b), walkedTarget),
  overload(
    "string.startsWith(string) -> bool",
    (a: string, b: string) => a.startsWith(b),
    ([, b]) => walk(b ?? null),
  ),
  overload(
    "string.endsWith(string) -> bool",
    (a: string, b: string) => a.endsWith(b),
    ([, b]) => walk(b ?? null),
  ),
  overload("string.matches(string) -> bool", matches as Implementation, matchCost),
  overload("matches(string, string) -> bool", matches as Implementation, matchCost),
  overload("string.charAt(int) -> string", charAt as Implementation),
  overload("string.indexOf(string) -> int", (a: string, b: string) => indexIn(a, b, 0n), walkedTarget),
  overload("string.indexOf(string, int) -> int", indexIn as Implementation, walkedTarget),
  overload("string.lastIndexOf(string) -> int", (a: string, b: string) => lastIndexIn(a, b, undefined), walkedTarget),
  overload("string.lastIndexOf(string, int) -> int", lastIndexIn as Implementation, walkedTarget),
  overload("string.lowerAscii() -> string", (a: string) => ascii(a, /[A-Z]/g, (c) => c.toLowerCase()), walkedTarget),
  overload("string.upperAscii() -> string", (a: string) => ascii(a, /[a-z]/g, (c) => c.toUpperCase()), walkedTarget),
  overload(
    "string.replace(string, string) -> string",
    (a: string, b: string, c: string) => replaced(a, b, c, -1n),
    walkedTarget,
  ),
  overload("string.replace(string, string, int) -> string", replaced as Implementation, walkedTarget),
  overload("string.split(string) -> list(string)", (a: string, b: string) => split(a, b, -1n), walkedTarget),
  overload("string.split(string, int) -> list(string)", split as Implementation, walkedTarget),
  overload("string.substring(int) -> string", (a: string, from: bigint) => substring(a, from, undefined), walkedTarget),
  overload("string.substring(int, int) -> string", substring as Implementation, walkedTarget),
  overload("string.trim() -> string", (a: string) => a.trim(), walkedTarget),
  overload("string.format(list(dyn)) -> string", formatted as Implementation, walkedTarget),
  overload(
    "list(string).join() -> string",
    (list: List) => joined(list, ""),
    ([list]) => (list instanceof List ? list.size : 0),
  ),
  overload("list(string).join(string) -> string", joined as Implementation, ([list]) =>
    list instanceof List ? list.size : 0,
  ),
  namespaced("strings.quote", "(string) -> string", (a: string) => JSON.stringify(a), walkedTarget),
];
