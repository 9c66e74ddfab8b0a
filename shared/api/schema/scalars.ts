/** Scalars that Go's types read from JSON and write back in their own canonical form. */

import { integerOf, isRawNumber, numberFromBigInt, numberToken } from "../codec/number.ts";
import { formatGoDuration, goDurationFault, parseGoDuration } from "../go-duration.ts";
import { canonicalQuantity, QuantityError } from "../quantity.ts";

/** A value of the wrong type or form, with the message of Go's decoder. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

/** Names a JSON value as Go's decoder does in its messages. */
export function jsonTypeName(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "object" && value !== null && !isRawNumber(value)) return "object";
  return typeof value === "string" ? "string" : "number";
}

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)([.,]\d+)?(Z|[+-]\d\d:\d\d)$/;
const utcSeconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const zeroTime_ms = -62135596800000;

/** metav1.Time: RFC 3339 in UTC with whole seconds; null for Go's zero time. Throws DecodeError. */
export function canonicalTime(text: string): string | null {
  const { ms } = parseTime(text, "2006-01-02T15:04:05Z07:00", rfc3339);
  if (ms === zeroTime_ms) return null;
  return utcSeconds.test(text) ? text : `${isoSeconds(ms)}Z`;
}

const rfc3339Micro = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{6})(Z|[+-]\d\d:\d\d)$/;

/** metav1.MicroTime: RFC 3339 in UTC with six decimals; null for Go's zero time. Throws DecodeError. */
export function canonicalMicroTime(text: string): string | null {
  const { ms, fraction } = parseTime(text, "2006-01-02T15:04:05.000000Z07:00", rfc3339Micro);
  if (ms === zeroTime_ms && /^\.0+$/.test(fraction)) return null;
  return text.endsWith("Z") ? text : `${isoSeconds(ms)}${fraction}Z`;
}

/** Milliseconds of the whole seconds, and the fraction as written (".5"). */
function parseTime(text: string, layout: string, pattern: RegExp): { ms: number; fraction: string } {
  const match = pattern.exec(text);
  if (match) {
    const [, year, month, day, hour, minute, second, fraction = "", zone = "Z"] = match;
    const parts = [year, month, day, hour, minute, second].map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const date = new Date(0);
    date.setUTCFullYear(parts[0], parts[1] - 1, parts[2]);
    date.setUTCHours(parts[3], parts[4], parts[5]);
    const inRange = date.getUTCMonth() === parts[1] - 1 && date.getUTCDate() === parts[2];
    if (inRange && parts[3] < 24 && parts[4] < 60 && parts[5] < 60) {
      return { ms: date.getTime() - zoneOffset_ms(zone), fraction };
    }
    throw new DecodeError(`parsing time ${JSON.stringify(text)}: ${outOfRange(parts)} out of range`);
  }
  const [whole = ""] = /^.*?(?:Z|[-+]\d\d:\d\d)/.exec(text) ?? [];
  const extra = text.slice(whole.length);
  if (extra !== "" && pattern.test(whole))
    throw new DecodeError(`parsing time ${JSON.stringify(text)}: extra text: ${JSON.stringify(extra)}`);
  const [rest, expected] = whereParsingStopped(text, layout);
  throw new DecodeError(
    `parsing time ${JSON.stringify(text)} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(rest)} as ${JSON.stringify(expected)}`,
  );
}

/** What is left of a time where it stops to follow the layout, and the part of the layout that stood there. */
function whereParsingStopped(text: string, layout: string): [string, string] {
  const parts: [RegExp, string][] = [
    [/^\d{4}/, "2006"],
    [/^-/, "-"],
    [/^\d\d/, "01"],
    [/^-/, "-"],
    [/^\d\d/, "02"],
    [/^T/, "T"],
    [/^\d\d/, "15"],
    [/^:/, ":"],
    [/^\d\d/, "04"],
    [/^:/, ":"],
    [/^\d\d/, "05"],
    layout.includes(".") ? [/^\.\d{6}/, ".000000"] : [/^([.,]\d+)?/, ""],
  ];
  let rest = text;
  for (const [pattern, expected] of parts) {
    const match = pattern.exec(rest);
    if (!match) return [rest, expected];
    rest = rest.slice(match[0].length);
  }
  return [rest, "Z07:00"];
}

function outOfRange([, month, , hour, minute, second]: readonly number[]): string {
  if (month === undefined || month < 1 || month > 12) return "month";
  if (hour !== undefined && hour > 23) return "hour";
  if (minute !== undefined && minute > 59) return "minute";
  return second !== undefined && second > 59 ? "second" : "day";
}

function zoneOffset_ms(zone: string): number {
  if (zone === "Z") return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6));
  return (zone.startsWith("-") ? -minutes : minutes) * 60_000;
}

/** `2006-01-02T15:04:05` of a moment; the moment may be off whole seconds, which are cut. */
export function isoSeconds(ms: number): string {
  const text = new Date(ms).toISOString();
  return text.slice(0, text.indexOf("."));
}

/** metav1.Duration in Go's notation: `90s` becomes `1m30s`. Throws DecodeError. */
export function canonicalDuration(text: string): string {
  return formatGoDuration(parseDuration(text));
}

/** Nanoseconds of a Go duration (`1h2m3.5s`). Throws DecodeError. */
export function parseDuration(text: string): bigint {
  const parsed = parseGoDuration(text);
  if (parsed === undefined) throw new DecodeError(goDurationFault(text));
  return parsed;
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Base64 of bytes as Go writes it; line breaks are skipped. Throws DecodeError. */
export function canonicalBase64(text: string): string {
  const plain = /[\r\n]/.test(text) ? text.replace(/[\r\n]/g, "") : text;
  if (!base64.test(plain)) throw new DecodeError(`illegal base64 data at input byte ${firstIllegalByte(plain)}`);
  return plain.endsWith("=") ? Buffer.from(plain, "base64").toString("base64") : plain;
}

function firstIllegalByte(text: string): number {
  const illegal = text.search(/[^A-Za-z0-9+/]/);
  return illegal < 0 ? text.length - (text.length % 4) : illegal;
}

const integerRanges = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
} as const;

/** An integer in range; undefined when it is none, is out of range, or is written with a point or an exponent. */
export function canonicalInteger(value: unknown, type: "int32" | "int64" | "uint32"): unknown {
  if (typeof value === "number" && Number.isInteger(value) && type !== "uint32" && Math.abs(value) < 2 ** 31)
    return value;
  const integer = integerOf(value);
  const [least, most] = integerRanges[type];
  return integer === undefined || integer < least || integer > most ? undefined : numberFromBigInt(integer);
}

/** A quantity's canonical text. Throws DecodeError for what is none. */
export function canonicalQuantityValue(value: unknown): string {
  const text = typeof value === "string" ? value : numberToken(value);
  try {
    // What is neither text nor number is read as its JSON, and is no quantity either.
    return canonicalQuantity(text ?? "?");
  } catch (cause) {
    if (cause instanceof QuantityError) throw new DecodeError(cause.message, { cause });
    throw cause;
  }
}
