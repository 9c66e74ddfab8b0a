/** CEL's `format`, as version 2 of cel-go's strings extension prints in English. */
import { goQuote } from "../api/selector/go-quote.ts";
import { work } from "./frame.ts";
import type { Type } from "./types.ts";
import {
  CelError,
  Duration,
  formatDuration,
  formatTimestamp,
  List,
  MapValue,
  Timestamp,
  TypeValue,
  typeNameOf,
  Uint,
  type Value,
} from "./values.ts";

const DIGITS = 6;
/** Of a fraction, as the engine writes them. */
const MOST_DIGITS = 100;
function padded(fraction: string, digits: number): string {
  work(digits);
  return fraction.padEnd(digits, "0");
}

export const formatDouble = (value: number): string =>
  Number.isNaN(value) ? "NaN" : value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value);

const problem = (message: string): CelError => new CelError(`error during formatting: ${message}`);

/** A whole number in a base; undefined for what is none. */
function whole(value: Value, base: number): string | undefined {
  if (value instanceof Uint) return value.value.toString(base);
  return typeof value === "bigint" ? value.toString(base) : undefined;
}

/** What clauses for doubles take; these texts stand for what no literal can say. */
function doubleOf(value: Value): number | undefined {
  if (typeof value === "number") return value;
  return value === "NaN" || value === "Infinity" || value === "-Infinity" ? Number(value) : undefined;
}

const unbounded = (value: number): string | undefined =>
  Number.isFinite(value) ? undefined : Number.isNaN(value) ? "NaN" : value < 0 ? "-∞" : "∞";

function fixed(value: number, digits: number): string {
  const [before = "", after] = value.toFixed(Math.min(digits, MOST_DIGITS)).split(".");
  const grouped = before.replace(/\B(?=(\d{3})+$)/g, ",");
  return unbounded(value) ?? (after === undefined ? grouped : `${grouped}.${padded(after, digits)}`);
}

const raised = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function scientific(value: number, digits: number): string {
  const [mantissa = "", exponent = "0"] = value.toExponential(Math.min(digits, MOST_DIGITS)).split("e");
  const [first = "", after] = mantissa.split(".");
  const shown = after === undefined ? first : `${first}.${padded(after, digits)}`;
  const power = exponent.replace(/\D/g, "").padStart(2, "0");
  const sign = exponent.startsWith("-") ? "⁻" : "";
  return unbounded(value) ?? `${shown}×10${sign}${power.replace(/\d/g, (digit) => raised[Number(digit)] ?? "")}`;
}

function hex(value: Value): string | undefined {
  if (typeof value === "string" || value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return whole(value, 16);
}

function text(value: Value): string | undefined {
  const shown = textOf(value);
  work(shown?.length ?? 0);
  return shown;
}

function textOf(value: Value): string | undefined {
  if (typeof value === "string") return value;
  if (value === null) return "null";
  if (typeof value === "number") return formatDouble(value);
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  if (value instanceof Uint) return String(value.value);
  if (value instanceof Timestamp) return formatTimestamp(value);
  if (value instanceof Duration) return formatDuration(value);
  if (value instanceof TypeValue) return value.typeName;
  if (value instanceof List) return `[${[...value.values()].map(inner).join(", ")}]`;
  if (value instanceof MapValue) return `{${entries(value).join(", ")}}`;
  return typeof value === "object" ? undefined : String(value);
}

/** In a list or map: as an expression would say it. */
function inner(value: Value): string {
  if (typeof value === "string") return goQuote(value);
  if (value instanceof Uint8Array) return `b${goQuote(new TextDecoder().decode(value))}`;
  if (value instanceof Timestamp) return `timestamp(${goQuote(formatTimestamp(value))})`;
  if (value instanceof Duration) return `duration(${goQuote(formatDuration(value))})`;
  if (typeof value === "number") return Number.isFinite(value) ? value.toFixed(DIGITS) : goQuote(formatDouble(value));
  const shown = text(value);
  if (shown === undefined) throw problem(`no formatting function for ${typeNameOf(value)}`);
  return shown;
}

function entries(map: MapValue): string[] {
  const pairs = [...map.entries()].map(([key, value]) => {
    if (typeof key !== "object" && typeof key !== "number") return [inner(key), inner(value)] as const;
    if (key instanceof Uint) return [String(key.value), inner(value)] as const;
    throw problem(`no formatting function for map key of type ${typeNameOf(key)}`);
  });
  pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return pairs.map(([key, value]) => `${key}:${value}`);
}

export interface Clause {
  /** undefined: it takes no such value. */
  readonly print: (value: Value, digits: number) => string | undefined;
  readonly takes: string;
  /** Of values that it may take, as far as a type tells. */
  readonly kinds: readonly Type["kind"][];
}

const doubles =
  (print: (value: number, digits: number) => string) =>
  (value: Value, digits: number): string | undefined => {
    const double = doubleOf(value);
    return double === undefined ? undefined : print(double, digits);
  };
const integers: readonly Type["kind"][] = ["int", "uint"];
/** Texts say what no double's literal can. */
const numbers: readonly Type["kind"][] = ["double", "string"];
const bits: readonly Type["kind"][] = [...integers, "string", "bytes"];
const hexTakes = "only integers, byte buffers, and strings can be formatted as hex";
const clauses: Readonly<Record<string, Clause>> = {
  s: {
    kinds: [...integers, ...numbers, "list", "map", "bool", "bytes", "timestamp", "duration", "type", "null"],
    print: text,
    takes:
      "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps",
  },
  d: { kinds: integers, print: (value) => whole(value, 10), takes: "decimal clause can only be used on integers" },
  f: { kinds: numbers, print: doubles(fixed), takes: "fixed-point clause can only be used on doubles" },
  e: { kinds: numbers, print: doubles(scientific), takes: "scientific clause can only be used on doubles" },
  b: {
    kinds: [...integers, "bool"],
    print: (value) => (typeof value === "boolean" ? String(Number(value)) : whole(value, 2)),
    takes: "only integers and bools can be formatted as binary",
  },
  o: { kinds: integers, print: (value) => whole(value, 8), takes: "octal clause can only be used on integers" },
  x: { kinds: bits, print: hex, takes: hexTakes },
  X: { kinds: bits, print: (value) => hex(value)?.toUpperCase(), takes: hexTakes },
};

/** Puts texts in the place of a template's clauses (`%s`, `%.2f`, …), of which there are no more than `size`, and gives their
 *  number too. Throws CelError. */
export function fill(
  template: string,
  size: number,
  textOf: (index: number, clause: Clause, digits: number) => string,
): { readonly text: string; readonly clauses: number } {
  let next = 0;
  const filled = template.replace(
    /%(?:%|(?:\.(\d*))?(.?))/gsu,
    (whole, precision: string | undefined, verb: string) => {
      if (whole === "%%") return "%";
      const index = next;
      if (index >= size) throw new CelError(`index ${index} out of range`);
      next += 1;
      if (whole === "%") throw new CelError("unexpected end of string");
      const clause = Object.hasOwn(clauses, verb) ? clauses[verb] : undefined;
      if (!clause || precision === "") {
        throw new CelError(`could not parse formatting clause: unrecognized formatting clause "${verb}"`);
      }
      return textOf(index, clause, precision === undefined ? DIGITS : Number(precision));
    },
  );
  return { text: filled, clauses: next };
}

export const refusal = ({ takes }: Clause, typeName: string): CelError => problem(`${takes}, was given ${typeName}`);

/** Throws CelError. */
export function format(template: string, args: List): string {
  return fill(template, args.size, (index, clause, digits) => {
    const value = args.get(index);
    const shown = clause.print(value, digits);
    if (shown === undefined) throw refusal(clause, typeNameOf(value));
    return shown;
  }).text;
}
