/** CEL's standard functions, and its extensions that Kubernetes has on: strings, sets, optionals. */
import { concatenated, equal } from "./equality.ts";
import { type Implementation, namespaced, type Overload, overload } from "./functions.ts";
import { stringLibrary } from "./string-library.ts";
import { formatDouble } from "./text-format.ts";
import {
  CelError,
  compare,
  Duration,
  formatDuration,
  formatTimestamp,
  isTime,
  List,
  MapValue,
  Optional,
  parseDuration,
  parseTimestamp,
  Timestamp,
  TypeValue,
  typeNameOf,
  Uint,
  type Value,
} from "./values.ts";

const MIN_INT = -0x8000_0000_0000_0000n;
const MAX_INT = 0x7fff_ffff_ffff_ffffn;
const MAX_UINT = 0xffff_ffff_ffff_ffffn;

function checkedInt(value: bigint): bigint {
  if (value < MIN_INT || value > MAX_INT) throw new CelError("integer overflow");
  return value;
}
function checkedUint(value: bigint): Uint {
  if (value < 0n || value > MAX_UINT) throw new CelError("unsigned integer overflow");
  return new Uint(value);
}
function checkedTime(nanoseconds: bigint): Timestamp {
  if (!isTime(nanoseconds)) throw new CelError("timestamp overflow");
  return new Timestamp(nanoseconds);
}
const checkedDuration = (nanoseconds: bigint): Duration => new Duration(checkedInt(nanoseconds));

function divisor<T extends bigint>(value: T, what: string): T {
  if (value === 0n) throw new CelError(what);
  return value;
}

const intOperators: readonly Overload[] = [
  overload("_+_(int, int) -> int", (a: bigint, b: bigint) => checkedInt(a + b)),
  overload("_-_(int, int) -> int", (a: bigint, b: bigint) => checkedInt(a - b)),
  overload("_*_(int, int) -> int", (a: bigint, b: bigint) => checkedInt(a * b)),
  overload("_/_(int, int) -> int", (a: bigint, b: bigint) => checkedInt(a / divisor(b, "division by zero"))),
  overload("_%_(int, int) -> int", (a: bigint, b: bigint) => a % divisor(b, "modulus by zero")),
  overload("-_(int) -> int", (a: bigint) => checkedInt(-a)),
  overload("_+_(uint, uint) -> uint", (a: Uint, b: Uint) => checkedUint(a.value + b.value)),
  overload("_-_(uint, uint) -> uint", (a: Uint, b: Uint) => checkedUint(a.value - b.value)),
  overload("_*_(uint, uint) -> uint", (a: Uint, b: Uint) => checkedUint(a.value * b.value)),
  overload("_/_(uint, uint) -> uint", (a: Uint, b: Uint) => new Uint(a.value / divisor(b.value, "division by zero"))),
  overload("_%_(uint, uint) -> uint", (a: Uint, b: Uint) => new Uint(a.value % divisor(b.value, "modulus by zero"))),
];

const otherOperators: readonly Overload[] = [
  overload("_+_(double, double) -> double", (a: number, b: number) => a + b),
  overload("_-_(double, double) -> double", (a: number, b: number) => a - b),
  overload("_*_(double, double) -> double", (a: number, b: number) => a * b),
  overload("_/_(double, double) -> double", (a: number, b: number) => a / b),
  overload("-_(double) -> double", (a: number) => -a),
  overload("_+_(string, string) -> string", (a: string, b: string) => a + b),
  overload("_+_(bytes, bytes) -> bytes", (a: Uint8Array, b: Uint8Array) => Buffer.concat([a, b])),
  overload("_+_(list(A), list(A)) -> list(A)", (a: List, b: List) => concatenated(a, b)),
  overload("_+_(timestamp, duration) -> timestamp", (a: Timestamp, b: Duration) =>
    checkedTime(a.nanoseconds + b.nanoseconds),
  ),
  overload("_+_(duration, timestamp) -> timestamp", (a: Duration, b: Timestamp) =>
    checkedTime(a.nanoseconds + b.nanoseconds),
  ),
  overload("_+_(duration, duration) -> duration", (a: Duration, b: Duration) =>
    checkedDuration(a.nanoseconds + b.nanoseconds),
  ),
  overload("_-_(timestamp, duration) -> timestamp", (a: Timestamp, b: Duration) =>
    checkedTime(a.nanoseconds - b.nanoseconds),
  ),
  overload("_-_(timestamp, timestamp) -> duration", (a: Timestamp, b: Timestamp) =>
    checkedDuration(a.nanoseconds - b.nanoseconds),
  ),
  overload("_-_(duration, duration) -> duration", (a: Duration, b: Duration) =>
    checkedDuration(a.nanoseconds - b.nanoseconds),
  ),
  overload("!_(bool) -> bool", (a: boolean) => !a),
  overload("_==_(A, A) -> bool", (a: Value, b: Value) => equal(a, b)),
  overload("_!=_(A, A) -> bool", (a: Value, b: Value) => !equal(a, b)),
  overload("@in(A, list(A)) -> bool", (a: Value, list: List) => includes(list, a)),
  overload("@in(A, map(A, B)) -> bool", (a: Value, map: MapValue) => map.get(a) !== undefined),
];

function includes(list: List, value: Value): boolean {
  for (const each of list.values()) if (equal(each, value)) return true;
  return false;
}

const ordered = ["bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration"];
const numbers = ["int", "uint", "double"];

function relation(name: string, holds: (order: number) => boolean): Overload[] {
  const call = (a: Value, b: Value): boolean => {
    const order = compare(a, b);
    return order !== undefined && holds(order);
  };
  const pairs = ordered.flatMap((left) =>
    numbers.includes(left) ? numbers.map((right) => [left, right]) : [[left, left]],
  );
  return pairs.map(([left, right]) => overload(`${name}(${left}, ${right}) -> bool`, call));
}

const relations: readonly Overload[] = [
  ...relation("_<_", (order) => order < 0),
  ...relation("_<=_", (order) => order <= 0),
  ...relation("_>_", (order) => order > 0),
  ...relation("_>=_", (order) => order >= 0),
];

const length = (text: string): bigint => BigInt([...text].length);

function sized(type: string, size: Implementation): Overload[] {
  return [overload(`size(${type}) -> int`, size), overload(`${type}.size() -> int`, size)];
}

const sizes: readonly Overload[] = [
  ...sized("string", (text: string) => length(text)),
  ...sized("bytes", (data: Uint8Array) => BigInt(data.length)),
  ...sized("list(A)", (list: List) => BigInt(list.size)),
  ...sized("map(A, B)", (map: MapValue) => BigInt(map.size)),
];

/** A conversion of texts that gives undefined for those that are no such value. */
const ofText =
  (type: string, parse: (text: string) => Value | undefined): Implementation =>
  (text: string) => {
    const value = parse(text);
    if (value === undefined) throw new CelError(`type conversion error from 'string' to '${type}'`);
    return value;
  };

function parseInteger(text: string): bigint | undefined {
  if (!/^[-+]?\d+$/.test(text)) return undefined;
  const value = BigInt(text.replace(/^\+/, ""));
  return value < MIN_INT || value > MAX_INT ? undefined : value;
}

function parseUnsigned(text: string): Uint | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const value = BigInt(text);
  return value > MAX_UINT ? undefined : new Uint(value);
}

function truncated(value: number, convert: (value: bigint) => Value): Value {
  if (!Number.isFinite(value)) throw new CelError("integer overflow");
  return convert(BigInt(Math.trunc(value)));
}

/** As strconv.ParseFloat: decimal, hexadecimal with a binary exponent, or a name; undefined where it is too large. */
function parseDouble(text: string): number | undefined {
  const [, sign = "", body = ""] = /^([-+]?)(.*)$/s.exec(text) ?? [];
  const factor = sign === "-" ? -1 : 1;
  if (/^inf(inity)?$/i.test(body)) return factor * Infinity;
  if (/^nan$/i.test(text)) return Number.NaN;
  const size = /^(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(body) ? Number(body) : hexadecimal(body);
  return size === undefined || !Number.isFinite(size) ? undefined : factor * size;
}

function hexadecimal(text: string): number | undefined {
  const match = /^0x((?:_?[0-9a-f])*)(?:\.([0-9a-f]*))?p([-+]?\d+)$/i.exec(text);
  const [whole, fraction] = [(match?.[1] ?? "").replaceAll("_", ""), match?.[2] ?? ""];
  if (!match || whole + fraction === "") return undefined;
  return Number(BigInt(`0x${whole}${fraction}`)) * 2 ** (Number(match[3]) - 4 * fraction.length);
}

function parseBoolean(text: string): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  return /^(0|f|F|FALSE|false|False)$/.test(text) ? false : undefined;
}

function timeOf(text: string): Timestamp | undefined {
  const time = parseTimestamp(text);
  return time && checkedTime(time.nanoseconds);
}

function decoded(data: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw new CelError("invalid UTF-8 in bytes, cannot convert to string");
  }
}

const conversions: readonly Overload[] = [
  overload("int(int) -> int", (a: bigint) => a),
  overload("int(uint) -> int", (a: Uint) => checkedInt(a.value)),
  overload("int(double) -> int", (a: number) => truncated(a, checkedInt)),
  overload("int(string) -> int", ofText("int", parseInteger)),
  overload("int(timestamp) -> int", (a: Timestamp) => floorDivided(a.nanoseconds, 1_000_000_000n)),
  overload("int(duration) -> int", (a: Duration) => a.nanoseconds),
  overload("uint(uint) -> uint", (a: Uint) => a),
  overload("uint(int) -> uint", (a: bigint) => checkedUint(a)),
  overload("uint(double) -> uint", (a: number) => truncated(a, checkedUint)),
  overload("uint(string) -> uint", ofText("uint", parseUnsigned)),
  overload("double(double) -> double", (a: number) => a),
  overload("double(int) -> double", (a: bigint) => Number(a)),
  overload("double(uint) -> double", (a: Uint) => Number(a.value)),
  overload("double(string) -> double", ofText("double", parseDouble)),
  overload("string(string) -> string", (a: string) => a),
  overload("string(int) -> string", (a: bigint) => String(a)),
  overload("string(uint) -> string", (a: Uint) => String(a.value)),
  overload("string(double) -> string", formatDouble as Implementation),
  overload("string(bool) -> string", (a: boolean) => String(a)),
  overload("string(bytes) -> string", decoded as Implementation),
  overload("string(timestamp) -> string", formatTimestamp as Implementation),
  overload("string(duration) -> string", formatDuration as Implementation),
  overload("bytes(bytes) -> bytes", (a: Uint8Array) => a),
  overload("bytes(string) -> bytes", (a: string) => Buffer.from(a)),
  overload("bool(bool) -> bool", (a: boolean) => a),
  overload("bool(string) -> bool", ofText("bool", parseBoolean)),
  overload("timestamp(string) -> timestamp", ofText("google.protobuf.Timestamp", timeOf)),
  overload("timestamp(int) -> timestamp", (a: bigint) => checkedTime(a * 1_000_000_000n)),
  overload("timestamp(timestamp) -> timestamp", (a: Timestamp) => a),
  overload("duration(string) -> duration", ofText("google.protobuf.Duration", parseDuration)),
  overload("duration(duration) -> duration", (a: Duration) => a),
  overload("duration(int) -> duration", (a: bigint) => checkedDuration(a)),
  overload("dyn(A) -> dyn", (a: Value) => a),
  overload("type(A) -> type(A)", (a: Value) => new TypeValue(typeNameOf(a))),
];

function floorDivided(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value % by < 0n ? quotient - 1n : quotient;
}

function partsOf({ nanoseconds }: Timestamp, zone: string | undefined): Date {
  const at_ms = Number(floorDivided(nanoseconds, 1_000_000n));
  if (zone === undefined || zone === "UTC" || zone === "") return new Date(at_ms);
  const offset = /^([+-]?)(\d{2}):(\d{2})$/.exec(zone);
  if (offset) {
    const minutes = (Number(offset[2]) * 60 + Number(offset[3])) * (offset[1] === "-" ? -1 : 1);
    return new Date(at_ms + minutes * 60_000);
  }
  try {
    const local = new Date(at_ms).toLocaleString("sv-SE", { timeZone: zone });
    const milliseconds = ((at_ms % 1000) + 1000) % 1000;
    return new Date(`${local.replace(" ", "T")}.${String(milliseconds).padStart(3, "0")}Z`);
  } catch {
    throw new CelError(`unknown time zone ${zone}`);
  }
}

const dayOfYear = (date: Date): number =>
  Math.floor(
    (Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()) - Date.UTC(date.getUTCFullYear(), 0, 1)) /
      86_400_000,
  );

const calendar: Readonly<Record<string, (date: Date) => number>> = {
  getFullYear: (date) => date.getUTCFullYear(),
  getMonth: (date) => date.getUTCMonth(),
  getDate: (date) => date.getUTCDate(),
  getDayOfMonth: (date) => date.getUTCDate() - 1,
  getDayOfWeek: (date) => date.getUTCDay(),
  getDayOfYear: dayOfYear,
  getHours: (date) => date.getUTCHours(),
  getMinutes: (date) => date.getUTCMinutes(),
  getSeconds: (date) => date.getUTCSeconds(),
  getMilliseconds: (date) => date.getUTCMilliseconds(),
};

const spans: Readonly<Record<string, bigint>> = {
  getHours: 3_600_000_000_000n,
  getMinutes: 60_000_000_000n,
  getSeconds: 1_000_000_000n,
};

const times: readonly Overload[] = [
  ...Object.entries(calendar).flatMap(([name, part]) => [
    overload(`timestamp.${name}() -> int`, (time: Timestamp) => BigInt(part(partsOf(time, undefined)))),
    overload(`timestamp.${name}(string) -> int`, (time: Timestamp, zone: string) => BigInt(part(partsOf(time, zone)))),
  ]),
  ...Object.entries(spans).map(([name, size]) =>
    overload(`duration.${name}() -> int`, (span: Duration) => span.nanoseconds / size),
  ),
  overload("duration.getMilliseconds() -> int", (span: Duration) => (span.nanoseconds / 1_000_000n) % 1000n),
];

const every = (list: List, holds: (value: Value) => boolean): boolean => {
  for (const each of list.values()) if (!holds(each)) return false;
  return true;
};

const sets: readonly Overload[] = [
  namespaced("sets.contains", "(list(A), list(A)) -> bool", (a: List, b: List) =>
    every(b, (each) => includes(a, each)),
  ),
  namespaced(
    "sets.equivalent",
    "(list(A), list(A)) -> bool",
    (a: List, b: List) => every(a, (each) => includes(b, each)) && every(b, (each) => includes(a, each)),
  ),
  namespaced(
    "sets.intersects",
    "(list(A), list(A)) -> bool",
    (a: List, b: List) => !every(a, (each) => !includes(b, each)),
  ),
];

function isZero(value: Value): boolean {
  if (value === null || value === false || value === 0n || value === 0 || value === "") return true;
  if (value instanceof Uint) return value.value === 0n;
  if (value instanceof List || value instanceof MapValue) return value.size === 0;
  if (value instanceof Uint8Array) return value.length === 0;
  return value instanceof Duration && value.nanoseconds === 0n;
}

const optionals: readonly Overload[] = [
  namespaced("optional.of", "(A) -> optional(A)", (value: Value) => new Optional(value)),
  namespaced("optional.none", "() -> optional(A)", () => Optional.none),
  namespaced("optional.ofNonZeroValue", "(A) -> optional(A)", (value: Value) =>
    isZero(value) ? Optional.none : new Optional(value),
  ),
  overload("optional(A).hasValue() -> bool", (optional: Optional) => optional.value !== undefined),
  overload("optional(A).value() -> A", (optional: Optional) => {
    if (optional.value === undefined) throw new CelError("optional.none() dereference");
    return optional.value;
  }),
  overload("optional(A).or(optional(A)) -> optional(A)", (a: Optional, b: Optional) => (a.value === undefined ? b : a)),
  overload("optional(A).orValue(A) -> A", (optional: Optional, other: Value) => optional.value ?? other),
];

export const standardLibrary: readonly Overload[] = [
  ...intOperators,
  ...otherOperators,
  ...relations,
  ...sizes,
  ...conversions,
  ...stringLibrary,
  ...times,
  ...sets,
  ...optionals,
];
