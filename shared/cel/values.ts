/**
 * Values of CEL at run time: int is bigint, double is number, string, bool, null, bytes is Uint8Array; all else has a
 * class here. JSON is not copied: it is looked at through the type that its schema gives it.
 */
import { parseGoDuration } from "#shared/api/go-duration.ts";
import { isRawNumber, numberFromBigInt, numberToken } from "../api/codec/number.ts";
import { isJsonObject, member } from "../api/patch/json-value.ts";
import { dyn, type Type } from "./types.ts";

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | Uint
  | Timestamp
  | Duration
  | TypeValue
  | Optional
  | List
  | MapValue
  | Opaque;

/** An evaluation that came to nothing. */
export class CelError extends Error {
  override readonly name = "CelError";
}

export class Uint {
  constructor(readonly value: bigint) {}
}

/** Nanoseconds since 1970. */
export class Timestamp {
  constructor(readonly nanoseconds: bigint) {}
}

export class Duration {
  constructor(readonly nanoseconds: bigint) {}
}

export class TypeValue {
  constructor(readonly typeName: string) {}
}

export class Optional {
  static readonly none = new Optional(undefined);
  constructor(readonly value: Value | undefined) {}
}

/** Something that only the functions of its library look into. */
export interface Opaque {
  /** As types name it: `kubernetes.Quantity`. */
  readonly opaqueType: string;
  /** As which it counts in what calls cost; 1 where it has none. */
  readonly size?: number;
  /** Characters of the regular expression that it looks with. */
  readonly patternSize?: number;
  equals(other: Opaque): boolean;
}

export const isOpaque = (value: Value): value is Opaque =>
  typeof value === "object" && value !== null && "opaqueType" in value;

export abstract class List {
  abstract readonly size: number;
  /** For indexes that are there only. */
  abstract get(index: number): Value;
  /** See the list type. */
  readonly keys: readonly string[] | undefined = undefined;

  *values(): IterableIterator<Value> {
    for (let index = 0; index < this.size; index += 1) yield this.get(index);
  }
}

export class ArrayList extends List {
  constructor(
    private readonly items: readonly Value[],
    override readonly keys: readonly string[] | undefined = undefined,
  ) {
    super();
  }
  get size(): number {
    return this.items.length;
  }
  get(index: number): Value {
    return this.items[index] as Value;
  }
}

class JsonList extends List {
  constructor(
    private readonly items: readonly unknown[],
    private readonly element: Type,
    override readonly keys: readonly string[] | undefined,
  ) {
    super();
  }
  get size(): number {
    return this.items.length;
  }
  get(index: number): Value {
    return fromJson(this.items[index], this.element);
  }
}

export abstract class MapValue {
  abstract readonly size: number;
  /** undefined: no such key. */
  abstract get(key: Value): Value | undefined;
  abstract entries(): IterableIterator<readonly [Value, Value]>;
}

/** Keys are compared as CEL does: numbers of any type by value. */
export function keyText(key: Value): string | undefined {
  if (typeof key === "string") return `s${key}`;
  if (typeof key === "boolean") return `b${key}`;
  if (typeof key === "bigint") return `n${key}`;
  if (key instanceof Uint) return `n${key.value}`;
  return typeof key === "number" && Number.isInteger(key) ? `n${BigInt(key)}` : undefined;
}

export class NativeMap extends MapValue {
  readonly #entries = new Map<string, readonly [Value, Value]>();

  /** Of entries with one key the last one counts. Throws CelError for a key that cannot be one. */
  constructor(entries: Iterable<readonly [Value, Value]>) {
    super();
    for (const [key, value] of entries) {
      const text = keyText(key);
      if (text === undefined || typeof key === "number") throw new CelError(`unsupported key type`);
      this.#entries.set(text, [key, value]);
    }
  }
  /** Throws CelError for a key that cannot be one, or that is there twice. */
  static ofDistinct(entries: readonly (readonly [Value, Value])[]): NativeMap {
    const known = new Set<string | undefined>();
    for (const [key] of entries) {
      if (known.has(keyText(key))) throw new CelError(`insert failed: key ${String(key)} already exists`);
      known.add(keyText(key));
    }
    return new NativeMap(entries);
  }

  get size(): number {
    return this.#entries.size;
  }
  get(key: Value): Value | undefined {
    return this.#entries.get(keyText(key) ?? "")?.[1];
  }
  entries(): IterableIterator<readonly [Value, Value]> {
    return this.#entries.values();
  }
}

/** An object that an expression has made of a declared type: `Object.spec{…}`. */
export class ObjectValue extends NativeMap {
  constructor(
    readonly typeName: string,
    fields: Iterable<readonly [string, Value]>,
  ) {
    super(fields);
  }
}

class JsonMap extends MapValue {
  constructor(
    private readonly object: Record<string, unknown>,
    private readonly type: Type,
  ) {
    super();
  }
  get size(): number {
    return Object.keys(this.object).length;
  }
  get(key: Value): Value | undefined {
    if (typeof key !== "string") return undefined;
    const { type } = this;
    const name = type.kind === "object" ? (type.jsonNames?.get(key) ?? key) : key;
    const value = member(this.object, name);
    if (value === undefined) return undefined;
    return fromJson(value, this.typeOf(key));
  }
  private typeOf(key: string): Type {
    if (this.type.kind === "object") return this.type.fields.get(key) ?? dyn;
    return this.type.kind === "map" ? this.type.value : dyn;
  }
  *entries(): IterableIterator<readonly [Value, Value]> {
    for (const key of Object.keys(this.object)) yield [key, fromJson(member(this.object, key), this.typeOf(key))];
  }
}

/** JSON as a value of a type; where it does not fit the type it is taken as it is. */
export function fromJson(value: unknown, type: Type): Value {
  if (value === null || value === undefined) return null;
  if (typeof value === "boolean") return value;
  if (typeof value === "string") return textAs(value, type);
  if (typeof value === "number" || isRawNumber(value)) return numberAs(value, type);
  if (Array.isArray(value)) {
    return type.kind === "list" ? new JsonList(value, type.element, type.keys) : new JsonList(value, dyn, undefined);
  }
  return isJsonObject(value) ? new JsonMap(value, type) : null;
}

function textAs(text: string, type: Type): Value {
  switch (type.kind) {
    case "timestamp":
      return parseTimestamp(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text.toUpperCase()) ?? text;
    case "duration":
      return parseDuration(text) ?? text;
    case "bytes":
      return Buffer.from(text, "base64");
    default:
      return text;
  }
}

function numberAs(value: unknown, type: Type): Value {
  const token = numberToken(value) ?? "0";
  if (type.kind === "double" || !/^-?\d+$/.test(token)) return Number(token);
  return BigInt(token);
}

/** A value as JSON, for messages and patches. Throws CelError for what JSON cannot say. */
export function toJson(value: Value): unknown {
  if (value === null || typeof value === "boolean" || typeof value === "string" || typeof value === "number")
    return value;
  if (typeof value === "bigint") return numberFromBigInt(value);
  if (value instanceof Uint) return numberFromBigInt(value.value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Timestamp) return formatTimestamp(value);
  if (value instanceof Duration) return formatDuration(value);
  if (value instanceof List) return [...value.values()].map(toJson);
  if (value instanceof MapValue) {
    return Object.fromEntries([...value.entries()].map(([key, each]) => [String(toJson(key)), toJson(each)]));
  }
  if (value instanceof Optional) return value.value === undefined ? null : toJson(value.value);
  throw new CelError("unsupported conversion to JSON");
}

export function typeNameOf(value: Value): string {
  if (value === null) return "null_type";
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "bigint":
      return "int";
    case "number":
      return "double";
    case "string":
      return "string";
    default:
      break;
  }
  if (value instanceof Uint8Array) return "bytes";
  if (value instanceof Uint) return "uint";
  if (value instanceof Timestamp) return "google.protobuf.Timestamp";
  if (value instanceof Duration) return "google.protobuf.Duration";
  if (value instanceof TypeValue) return "type";
  if (value instanceof Optional) return "optional_type";
  if (value instanceof List) return "list";
  if (value instanceof ObjectValue) return value.typeName;
  if (value instanceof MapValue) return "map";
  return (value as Opaque).opaqueType;
}

/** The type of what cel-go holds a value in, as Go prints it. */
export function goTypeOf(value: Value): string {
  if (value === null) return "structpb.NullValue";
  if (value instanceof Uint) return "uint64";
  if (value instanceof List) return "[]ref.Val";
  if (value instanceof MapValue) return "map[ref.Val]ref.Val";
  const names: Readonly<Record<string, string>> = { bigint: "int64", number: "float64", boolean: "bool" };
  return names[typeof value] ?? "[]uint8";
}

const pattern = /^(\d{4})-(\d{2})-(\d{2})T(\d{1,2}):(\d{2}):(\d{2})([.,]\d+)?(?:Z|([+-])(\d{2}):(\d{2}))$/;
const earliest = -62_135_596_800_000n * 1_000_000n;
const latest = 253_402_300_799_999_999_999n;

export const isTime = (nanoseconds: bigint): boolean => nanoseconds >= earliest && nanoseconds <= latest;

/** RFC 3339 as Go reads it; undefined for anything else. */
export function parseTimestamp(text: string): Timestamp | undefined {
  const match = pattern.exec(text);
  if (!match) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const [fraction = ".", sign = "+", zoneHours = "0", zoneMinutes = "0"] = match.slice(7);
  const isDay = month >= 1 && month <= 12 && day >= 1 && day <= daysOf(year, month);
  const isMoment = hour <= 23 && minute <= 59 && second <= 59 && Number(zoneHours) <= 24 && Number(zoneMinutes) <= 60;
  if (!isDay || !isMoment) return undefined;
  // Date.UTC takes years before 100 for others.
  const local_ms = Date.UTC(year + 400, month - 1, day, hour, minute, second) - FOUR_CENTURIES_MS;
  const offset_ms = (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60_000;
  const at_ms = sign === "-" ? local_ms + offset_ms : local_ms - offset_ms;
  return new Timestamp(BigInt(at_ms) * 1_000_000n + BigInt(fraction.slice(1, 10).padEnd(9, "0")));
}

/** After which the calendar begins anew. */
const FOUR_CENTURIES_MS = 146_097 * 86_400_000;

const daysOf = (year: number, month: number): number => new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();

export function formatTimestamp({ nanoseconds }: Timestamp): string {
  const fraction = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const whole = new Date(Number((nanoseconds - fraction) / 1_000_000n)).toISOString().replace(/\.\d+Z$/, "");
  const digits = fraction === 0n ? "" : `.${String(fraction).padStart(9, "0").replace(/0+$/, "")}`;
  return `${whole}${digits}Z`;
}

/** As Go's time.ParseDuration. undefined for what is none. */
export function parseDuration(text: string): Duration | undefined {
  const nanoseconds = parseGoDuration(text);
  return nanoseconds === undefined ? undefined : new Duration(nanoseconds);
}

/** Seconds with their fraction, as protobuf writes durations: `90s`. */
export function formatDuration({ nanoseconds }: Duration): string {
  const sign = nanoseconds < 0n ? "-" : "";
  const size = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = size % 1_000_000_000n;
  const digits = fraction === 0n ? "" : `.${String(fraction).padStart(9, "0").replace(/0+$/, "")}`;
  return `${sign}${size / 1_000_000_000n}${digits}s`;
}

export const numeric = (value: Value): bigint | number | undefined => {
  if (typeof value === "bigint" || typeof value === "number") return value;
  return value instanceof Uint ? value.value : undefined;
};

/** Negative, zero or positive; undefined where the two cannot be ordered. */
export function compare(a: Value, b: Value): number | undefined {
  const [left, right] = [numeric(a), numeric(b)];
  if (left !== undefined && right !== undefined) {
    if (left < right) return -1;
    if (left > right) return 1;
    // biome-ignore lint/suspicious/noDoubleEquals: bigint and number are to be equal by value.
    return left == right ? 0 : undefined;
  }
  if (typeof a === "string" && typeof b === "string") return Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  if ((a instanceof Timestamp && b instanceof Timestamp) || (a instanceof Duration && b instanceof Duration)) {
    const difference = a.nanoseconds - (b as Timestamp | Duration).nanoseconds;
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }
  return undefined;
}
