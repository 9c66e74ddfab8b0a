/** Kubernetes' own functions: lists, regular expressions, URLs, quantities, formats, semantic versions, JSON patches. */
import type { RE2JS } from "re2js";
import {
  addQuantities,
  compareQuantities,
  parseQuantity,
  type Quantity,
  quantityOf,
  subtractQuantities,
} from "../api/quantity.ts";
import { goQuote } from "../api/selector/go-quote.ts";
import { labelKeyProblems, labelValueProblems } from "../api/selector/label-syntax.ts";
import { equal } from "./equality.ts";
import { type Implementation, namespaced, type Overload, overload } from "./functions.ts";
import { ipLibrary } from "./ip-library.ts";
import { listLibrary } from "./list-library.ts";
import { parseRequestUrl, type RequestUrl, splitHostPort, UrlFault } from "./request-url.ts";
import { patternOf } from "./string-library.ts";
import {
  ArrayList,
  CelError,
  compare,
  Duration,
  type List,
  NativeMap,
  type Opaque,
  Optional,
  parseTimestamp,
  Uint,
  type Value,
} from "./values.ts";
import { versionLibrary } from "./version-library.ts";

function add(a: Value, b: Value): Value {
  if (typeof a === "bigint" && typeof b === "bigint") return BigInt.asIntN(64, a + b);
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (a instanceof Uint && b instanceof Uint) return new Uint(a.value + b.value);
  if (a instanceof Duration && b instanceof Duration) return new Duration(a.nanoseconds + b.nanoseconds);
  throw new CelError("no such overload");
}

function extreme(list: List, wanted: (order: number) => boolean, name: string): Value {
  let best: Value | undefined;
  for (const value of list.values()) {
    if (best === undefined || wanted(compare(value, best) ?? 0)) best = value;
  }
  if (best === undefined) throw new CelError(`${name} called on empty list`);
  return best;
}

function isSorted(list: List): boolean {
  let before: Value | undefined;
  for (const value of list.values()) {
    if (before !== undefined && (compare(before, value) ?? 0) > 0) return false;
    before = value;
  }
  return true;
}

const zeros: Readonly<Record<string, Value>> = { int: 0n, uint: new Uint(0n), double: 0, duration: new Duration(0n) };
const comparable = ["int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"];

const lists: readonly Overload[] = [
  ...comparable.flatMap((type) => [
    overload(`list(${type}).isSorted() -> bool`, isSorted as Implementation),
    overload(`list(${type}).min() -> ${type}`, (list: List) => extreme(list, (order) => order < 0, "min")),
    overload(`list(${type}).max() -> ${type}`, (list: List) => extreme(list, (order) => order > 0, "max")),
  ]),
  ...Object.entries(zeros).map(([type, zero]) =>
    overload(`list(${type}).sum() -> ${type}`, (list: List) =>
      [...list.values()].reduce(add, list.size === 0 ? zero : sumStart(list)),
    ),
  ),
  overload("list(A).indexOf(A) -> int", (list: List, value: Value) =>
    BigInt([...list.values()].findIndex((other) => equal(other, value))),
  ),
  overload("list(A).lastIndexOf(A) -> int", (list: List, value: Value) =>
    BigInt([...list.values()].findLastIndex((other) => equal(other, value))),
  ),
];

/** The zero of the elements' own type: overloads are told apart by what stands in the list. */
function sumStart(list: List): Value {
  const first = list.get(0);
  if (typeof first === "bigint") return 0n;
  if (first instanceof Uint) return new Uint(0n);
  return first instanceof Duration ? new Duration(0n) : 0;
}

function matcherOf(pattern: string, text: string): ReturnType<RE2JS["matcher"]> {
  try {
    return patternOf(pattern).matcher(text);
  } catch (error) {
    if (error instanceof CelError) throw new CelError(`Illegal regex: ${error.message}`);
    throw error;
  }
}

function findAll(text: string, pattern: string, limit: bigint): List {
  const matcher = matcherOf(pattern, text);
  const found: Value[] = [];
  while ((limit < 0n || found.length < Number(limit)) && matcher.find()) found.push(matcher.group() ?? "");
  return new ArrayList(found);
}

const expressions: readonly Overload[] = [
  overload("string.find(string) -> string", (text: string, pattern: string) => {
    const matcher = matcherOf(pattern, text);
    return matcher.find() ? (matcher.group() ?? "") : "";
  }),
  overload("string.findAll(string) -> list(string)", (text: string, pattern: string) => findAll(text, pattern, -1n)),
  overload("string.findAll(string, int) -> list(string)", findAll as Implementation),
];

class Url implements Opaque {
  readonly opaqueType = "kubernetes.URL";
  constructor(
    readonly text: string,
    readonly parts: RequestUrl,
  ) {}
  equals(other: Opaque): boolean {
    return other instanceof Url && other.text === this.text;
  }
}

function url(text: string): Url {
  const read = readUrl(text);
  if (read instanceof Url) return read;
  throw new CelError(`URL parse error during conversion from string: ${read.fault}`);
}

function readUrl(text: string): Url | { readonly fault: string } {
  try {
    return new Url(text, parseRequestUrl(text));
  } catch (error) {
    if (!(error instanceof UrlFault)) throw error;
    return { fault: `parse ${goQuote(text)}: ${error.message}` };
  }
}

const urls: readonly Overload[] = [
  overload("url(string) -> kubernetes.URL", url as Implementation),
  overload("isURL(string) -> bool", (text: string) => readUrl(text) instanceof Url),
  overload("kubernetes.URL.getScheme() -> string", ({ parts }: Url) => parts.scheme),
  overload("kubernetes.URL.getHost() -> string", ({ parts }: Url) => parts.host),
  overload("kubernetes.URL.getHostname() -> string", ({ parts }: Url) => splitHostPort(parts.host).hostname),
  overload("kubernetes.URL.getPort() -> string", ({ parts }: Url) => splitHostPort(parts.host).port),
  overload("kubernetes.URL.getEscapedPath() -> string", ({ parts }: Url) => parts.escapedPath),
  overload("kubernetes.URL.getQuery() -> map(string, list(string))", ({ parts }: Url) => queryMap(parts.query)),
];

function queryMap(query: RequestUrl["query"]): Value {
  return new NativeMap([...query].map(([key, values]) => [key, new ArrayList(values)] as const));
}

class QuantityValue implements Opaque {
  readonly opaqueType = "kubernetes.Quantity";
  constructor(readonly quantity: Quantity) {}
  equals(other: Opaque): boolean {
    return other instanceof QuantityValue && compareQuantities(this.quantity, other.quantity) === 0;
  }
}

function quantityFrom(text: string): QuantityValue | undefined {
  try {
    return new QuantityValue(parseQuantity(text));
  } catch {
    return undefined;
  }
}

/** A quantity as a value. Throws CelError for a text that is none. */
export function quantity(text: string): QuantityValue {
  const parsed = quantityFrom(text);
  if (!parsed)
    throw new CelError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  return parsed;
}

/** undefined: not whole, or beyond int64. */
function wholeOf({ quantity: { unscaled, scale } }: QuantityValue): bigint | undefined {
  const divisor = scale < 0 ? 10n ** BigInt(-scale) : 1n;
  if (unscaled % divisor !== 0n) return undefined;
  const whole = scale < 0 ? unscaled / divisor : unscaled * 10n ** BigInt(scale);
  return BigInt.asIntN(64, whole) === whole ? whole : undefined;
}

const asQuantity = (value: Quantity): Value => new QuantityValue(value);
const order = (a: QuantityValue, b: QuantityValue): number => compareQuantities(a.quantity, b.quantity);

const quantities: readonly Overload[] = [
  overload("quantity(string) -> kubernetes.Quantity", quantity as Implementation),
  overload("isQuantity(string) -> bool", (text: string) => quantityFrom(text) !== undefined),
  // A function, unlike all others of quantities: so it is declared upstream.
  overload("sign(kubernetes.Quantity) -> int", ({ quantity: { unscaled } }: QuantityValue) =>
    unscaled > 0n ? 1n : unscaled < 0n ? -1n : 0n,
  ),
  overload("kubernetes.Quantity.isInteger() -> bool", (value: QuantityValue) => wholeOf(value) !== undefined),
  overload("kubernetes.Quantity.asInteger() -> int", (value: QuantityValue) => {
    const whole = wholeOf(value);
    if (whole === undefined) throw new CelError("cannot convert value to integer");
    return whole;
  }),
  overload(
    "kubernetes.Quantity.asApproximateFloat() -> double",
    ({ quantity: { unscaled, scale } }: QuantityValue) => Number(unscaled) * 10 ** scale,
  ),
  overload(
    "kubernetes.Quantity.add(kubernetes.Quantity) -> kubernetes.Quantity",
    (a: QuantityValue, b: QuantityValue) => asQuantity(addQuantities(a.quantity, b.quantity)),
  ),
  overload("kubernetes.Quantity.add(int) -> kubernetes.Quantity", (a: QuantityValue, b: bigint) =>
    asQuantity(addQuantities(a.quantity, quantityOf(b))),
  ),
  overload(
    "kubernetes.Quantity.sub(kubernetes.Quantity) -> kubernetes.Quantity",
    (a: QuantityValue, b: QuantityValue) => asQuantity(subtractQuantities(a.quantity, b.quantity)),
  ),
  overload("kubernetes.Quantity.sub(int) -> kubernetes.Quantity", (a: QuantityValue, b: bigint) =>
    asQuantity(subtractQuantities(a.quantity, quantityOf(b))),
  ),
  overload(
    "kubernetes.Quantity.isLessThan(kubernetes.Quantity) -> bool",
    (a: QuantityValue, b: QuantityValue) => order(a, b) < 0,
  ),
  overload(
    "kubernetes.Quantity.isGreaterThan(kubernetes.Quantity) -> bool",
    (a: QuantityValue, b: QuantityValue) => order(a, b) > 0,
  ),
  overload("kubernetes.Quantity.compareTo(kubernetes.Quantity) -> int", (a: QuantityValue, b: QuantityValue) =>
    BigInt(order(a, b)),
  ),
];

class Format implements Opaque {
  readonly opaqueType = "kubernetes.NamedFormat";
  constructor(
    readonly formatName: string,
    readonly patternSize: number,
    readonly problems: (text: string) => readonly string[],
  ) {}
  equals(other: Opaque): boolean {
    return other instanceof Format && other.formatName === this.formatName;
  }
}

const unless = (holds: (text: string) => boolean, problem: string) => (text: string) => (holds(text) ? [] : [problem]);
const label1123 = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const isLabel = (text: string): boolean => text.length <= 63 && label1123.test(text);
const isLabel1035 = (text: string): boolean => text.length <= 63 && /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(text);
const isSubdomain = (text: string): boolean =>
  text.length <= 253 && text.split(".").every((part) => label1123.test(part));
const withoutDash = (text: string): string => text.replace(/-$/, "a");

const namedFormats: readonly Format[] = [
  new Format(
    "dns1123Label",
    30,
    unless(
      isLabel,
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
    ),
  ),
  new Format(
    "dns1123Subdomain",
    60,
    unless(
      isSubdomain,
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
    ),
  ),
  new Format(
    "dns1035Label",
    30,
    unless(
      isLabel1035,
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
    ),
  ),
  new Format(
    "dns1123LabelPrefix",
    30,
    unless(
      (text) => isLabel(withoutDash(text)),
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'",
    ),
  ),
  new Format(
    "dns1123SubdomainPrefix",
    60,
    unless(
      (text) => isSubdomain(withoutDash(text)),
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'",
    ),
  ),
  new Format(
    "dns1035LabelPrefix",
    30,
    unless(
      (text) => isLabel1035(withoutDash(text)),
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-'",
    ),
  ),
  new Format("qualifiedName", 60, (text) => labelKeyProblems(text)),
  new Format("labelValue", 40, (text) => labelValueProblems(text)),
  new Format("uri", 1103, (text) => {
    const read = readUrl(text);
    return read instanceof Url ? [] : [read.fault];
  }),
  new Format(
    "uuid",
    70,
    unless(
      (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(text),
      "does not match the UUID format",
    ),
  ),
  new Format(
    "byte",
    84,
    unless((text) => /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text), "invalid base64"),
  ),
  new Format(
    "date",
    71,
    unless(
      (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && parseTimestamp(`${text}T00:00:00Z`) !== undefined,
      "invalid date",
    ),
  ),
  new Format(
    "datetime",
    71,
    unless((text) => parseTimestamp(text.toUpperCase()) !== undefined, "invalid datetime"),
  ),
];

const formats: readonly Overload[] = [
  ...namedFormats.map((format) =>
    namespaced(`format.${format.formatName}`, "() -> kubernetes.NamedFormat", () => format),
  ),
  namespaced("format.named", "(string) -> optional(kubernetes.NamedFormat)", (name: string) => {
    const found = namedFormats.find(({ formatName }) => formatName === name);
    return found ? new Optional(found) : Optional.none;
  }),
  overload("kubernetes.NamedFormat.validate(string) -> optional(list(string))", (format: Format, text: string) => {
    const problems = format.problems(text);
    return problems.length === 0 ? Optional.none : new Optional(new ArrayList(problems));
  }),
];

export const kubernetesLibrary: readonly Overload[] = [
  ...lists,
  ...listLibrary,
  ...expressions,
  ...urls,
  ...quantities,
  ...ipLibrary,
  ...formats,
  ...versionLibrary,
];
