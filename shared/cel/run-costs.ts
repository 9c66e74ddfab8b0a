/**
 * What calls cost as they run (apiserver's cel/library/cost.go and cel-go's interpreter/runtimecost.go with its extensions).
 * What they may cost at most, known before, is in call-costs.ts.
 */
import { LIST_COST, REGEX_COST, TEXT_COST } from "./cost-range.ts";
import { work } from "./frame.ts";
import type { Overload } from "./functions.ts";
import { isOpaque, List, MapValue, Optional, type Value } from "./values.ts";

/** undefined: it failed. */
type Outcome = Value | undefined;
/** What a call costs that had these arguments, the target first. */
export type RunCost = (args: readonly Outcome[], result: Outcome) => number;

const nominal: RunCost = () => 1;

function points(text: string): number {
  let count = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    const isPair = unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00;
    if (isPair) count -= 1;
  }
  return count;
}

/** Characters, bytes, items; 1 of all that has no size. */
function sizeOf(value: Outcome): number {
  if (typeof value === "string") return points(value);
  if (value instanceof Uint8Array) return value.length;
  if (value instanceof List || value instanceof MapValue) return value.size;
  if (value instanceof Optional) return value.value === undefined ? 1 : sizeOf(value.value);
  if (value !== undefined && value !== null && isOpaque(value)) return value.size ?? 1;
  return 1;
}

const scaled = (size: number, factor: number): number => Math.ceil(size * factor);
const walked = (value: Outcome, factor = 1): number => scaled(sizeOf(value), factor * TEXT_COST);
const walk: RunCost = ([text]) => walked(text);
const walkTwice: RunCost = ([text]) => walked(text, 2);
const search: RunCost = ([text, pattern]) => scaled(1 + sizeOf(text), TEXT_COST) * scaled(sizeOf(pattern), REGEX_COST);
const compare: RunCost = ([a, b]) => scaled(Math.min(sizeOf(a), sizeOf(b)), TEXT_COST);

/** Of a list, item by item; here a text is counted in bytes. */
function traversed(value: Outcome): number {
  if (typeof value === "string") return Math.floor(Buffer.byteLength(value) * TEXT_COST);
  if (value instanceof Uint8Array) return Math.floor(value.length * TEXT_COST);
  work(1);
  let sum = 0;
  if (value instanceof List) for (const item of value.values()) sum += traversed(item);
  else if (value instanceof MapValue)
    for (const [key, each] of value.entries()) sum += traversed(key) + traversed(each);
  else return 1;
  return sum;
}
const traverse: RunCost = ([list]) => traversed(list);

const listOf = (size: number, factor = 1): number => Math.floor(size * factor) + 1 + LIST_COST;
/** Of a list each of whose items is compared with every other. */
export function compareAll(value: Outcome): number {
  const size = sizeOf(value);
  const first = value instanceof List && size > 0 ? value.get(0) : undefined;
  const factor = typeof first === "string" || first instanceof Uint8Array ? 2 + TEXT_COST : 2;
  return listOf(size * size, factor);
}
const sizeOfResult: RunCost = (_, result) => listOf(sizeOf(result));
const compareSets =
  (factor: number): RunCost =>
  ([a, b]) =>
    1 + sizeOf(a) * sizeOf(b) * factor;

const isText = (value: Outcome): boolean => typeof value === "string";
/** A text is read first, and that of a range is masked and compared by its length. */
function contains(name: "containsIP" | "containsCIDR", overload: Overload | undefined): RunCost {
  const isRead = overload?.parameters[1]?.kind === "string";
  return ([range, other]) => {
    const masked = name === "containsCIDR" ? walked(range) + 1 : 0;
    return walked(range, 2) + masked + (isRead ? walked(other) : 0);
  };
}

/** A list of requirements, one for every two characters, each a list and an object. */
const select: RunCost = ([, text]) => LIST_COST + walked(text) + scaled(scaled(sizeOf(text), 0.5), LIST_COST + 40);

const named = (cost: RunCost, ...names: string[]): Readonly<Record<string, RunCost>> =>
  Object.fromEntries(names.map((name) => [name, cost]));

/** Kubernetes' own: by name, whatever they are called with. */
const ofKubernetes: Readonly<Record<string, RunCost>> = {
  // So that no expression can pay for more than two.
  check: () => 350_000,
  ...named(select, "fieldSelector", "labelSelector"),
  ...named(traverse, "isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"),
  ...named(walk, "url", "lowerAscii", "upperAscii", "substring", "trim", "jsonpatch.escapeKey"),
  ...named(walk, "cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"),
  ip: ([text]) => (isText(text) || text === undefined ? walked(text) : 1),
  "ip.isCanonical": walkTwice,
  ...named(walkTwice, "replace", "split"),
  join: (_, result) => walked(result, 2),
  ...named(search, "find", "findAll"),
  validate: ([format, text]) => {
    const pattern = format !== undefined && format !== null && isOpaque(format) ? (format.patternSize ?? 0) : 0;
    return scaled(1 + sizeOf(text), TEXT_COST) * scaled(pattern, REGEX_COST);
  },
};

/** Those of cel-go: by name, where the types of the arguments have told which one is meant. */
const ofLanguage: Readonly<Record<string, RunCost>> = {
  ...named(walk, "startsWith", "endsWith", "bytes", "strings.quote", "format"),
  contains: ([text, part]) => walked(text) * walked(part),
  slice: sizeOfResult,
  reverse: sizeOfResult,
  "lists.range": sizeOfResult,
  flatten: ([list, depth]) => listOf(sizeOf(list), typeof depth === "bigint" ? Number(depth) : 1),
  ...named(([list]) => compareAll(list), "sort", "distinct"),
  "@sortByAssociatedKeys": ([, keys]) => compareAll(keys),
  ...named(compareSets(1), "sets.contains", "sets.intersects"),
  "sets.equivalent": compareSets(2),
};

const isWalked = ({ parameters }: Overload): boolean =>
  parameters[0]?.kind === "string" || parameters[0]?.kind === "bytes";

/** What calls of one place cost: of a function by this name, with the overloads that its arguments' types leave. */
export function runCostOf(name: string, isMember: boolean, overloads: readonly Overload[]): RunCost {
  if (name === "_==_") return equality;
  if (name === "_!=_") return compare;
  const [overload, ...others] = overloads;
  if (name === "containsIP" || name === "containsCIDR") return contains(name, overload);
  const known = Object.hasOwn(ofKubernetes, name) ? ofKubernetes[name] : undefined;
  if (known) return known;
  if (!overload || others.length > 0) return nominal;
  switch (name) {
    case "_+_":
      return isWalked(overload) ? ([a, b]) => scaled(sizeOf(a) + sizeOf(b), TEXT_COST) : nominal;
    case "_<_":
    case "_<=_":
    case "_>_":
    case "_>=_":
      return isWalked(overload) ? compare : nominal;
    case "@in":
      return overload.parameters[1]?.kind === "list" ? ([, list]) => sizeOf(list) : nominal;
    case "string":
      return overload.parameters[0]?.kind === "bytes" ? walk : nominal;
    case "bytes":
      return overload.parameters[0]?.kind === "string" ? walk : nominal;
    // As a function, not a method, it has the cost of any other.
    case "matches":
      return isMember ? search : nominal;
    default:
      return (Object.hasOwn(ofLanguage, name) ? ofLanguage[name] : undefined) ?? nominal;
  }
}

const equality: RunCost = (args, result) => {
  const [left] = args;
  // An address has a size, which only counts where it is compared with `!=`.
  if (left !== undefined && left !== null && isOpaque(left)) return 1;
  return compare(args, result);
};
