/**
 * What calls cost at most, beyond their arguments, and how large what they give can be (apiserver's cel/library/cost.go and
 * cel-go's checker/cost.go with its extensions).
 */
import type { Expression } from "./ast.ts";
import {
  exactly,
  LIST_COST,
  MOST,
  plus,
  REGEX_COST,
  type Size,
  scaled,
  sizePlus,
  sizeTimes,
  TEXT_COST,
  times,
} from "./cost-range.ts";
import type { Overload } from "./functions.ts";
import type { Type } from "./types.ts";

/** A part of an expression that is called or an argument. */
export interface Operand {
  readonly expression: Expression;
  readonly type: Type;
  readonly size: Size;
  /** Of its items, as far as the schema or the type tells. */
  readonly itemSize: Size;
}

export interface Call {
  readonly name: string;
  readonly overload: Overload;
  readonly target: Operand | undefined;
  readonly args: readonly Operand[];
}

export interface CallCost {
  readonly cost: number;
  readonly size?: Size | undefined;
}

type Estimator = (call: Call) => CallCost | undefined;

const nominal: Estimator = () => ({ cost: 1 });
const walked = (size: Size, factor = 1): number => scaled(size.max, factor * TEXT_COST);
const isText = (type: Type | undefined): boolean => type?.kind === "string" || type?.kind === "bytes";

/** The text is the target, and what comes of it is as long. */
const walkTarget: Estimator = ({ target }) => target && { cost: walked(target.size), size: target.size };
const walkArgument: Estimator = ({ args: [text] }) => text && { cost: walked(text.size) };

const perItem: Estimator = ({ target }) => {
  if (!target) return undefined;
  if (target.type.kind !== "list") return { cost: walked(target.size) };
  const each = isText(target.type.element) ? plus(1, walked(target.itemSize)) : 1;
  return { cost: times(target.size.max, each) };
};

const replaced: Estimator = ({ target, args: [old, by] }) => {
  if (!target || !old || !by) return undefined;
  const { size } = target;
  const cost = scaled(size.max, 2 * TEXT_COST);
  const [most, longest] =
    old.size.min === 0
      ? [plus(size.max, 1), size.max]
      : by.size.max <= old.size.min
        ? [0, size.max]
        : [Math.ceil(size.max / old.size.min), 0];
  const [fewest, shortest] =
    old.size.max === 0
      ? [plus(size.min, 1), size.min]
      : old.size.max <= by.size.min
        ? [0, size.min]
        : [Math.ceil(size.min / old.size.max), 0];
  const made = sizePlus(sizeTimes({ min: fewest, max: most }, by.size), { min: shortest, max: longest });
  return { cost, size: made };
};

const literalInt = ({ expression }: Operand): number | undefined =>
  expression.kind === "literal" && expression.value.type === "int" ? Number(expression.value.value) : undefined;

const split: Estimator = ({ target, args: [, limit] }) =>
  target && {
    cost: scaled(target.size.max, 2 * TEXT_COST),
    // A negative limit is none: as an unsigned number it is larger than any.
    size: { min: 0, max: limit ? unsigned(literalInt(limit) ?? target.size.max) : target.size.max },
  };

const unsigned = (value: number): number => (value < 0 ? MOST + value : value);

const joined: Estimator = ({ target, args: [separator] }) => {
  if (!target) return undefined;
  let size = target.type.kind === "list" ? sizeTimes(target.size, target.itemSize) : exactly(0);
  if (separator) {
    const between = { min: Math.max(target.size.min - 1, 0), max: Math.max(target.size.max - 1, 0) };
    size = sizePlus(size, sizeTimes(separator.size, between));
  }
  return { cost: walked(size), size };
};

const searched = (text: Operand, pattern: Operand): number =>
  times(scaled(plus(text.size.max, 1), TEXT_COST), scaled(pattern.size.max, REGEX_COST));

const found: Estimator = ({ target, args: [pattern] }) =>
  target && pattern && { cost: searched(target, pattern), size: { min: 0, max: target.size.max } };

/** Two addresses of at most 16 bytes are compared, and a text is read first where there is one. */
const contains =
  (extra: number): Estimator =>
  ({ args: [other] }) =>
    other && { cost: scaled(32, TEXT_COST) + extra + (other.type.kind === "string" ? walked(other.size) : 0) };

const listOf = (factor: number, size: Size): CallCost => ({
  cost: plus(scaled(size.max, factor), 1 + LIST_COST),
  size,
});

const squared =
  (of: (call: Call) => Operand | undefined, comparesText: (type: Type) => boolean): Estimator =>
  (call) => {
    const operand = of(call);
    if (operand?.type.kind !== "list") return undefined;
    const factor = comparesText(operand.type.element) ? 2 + TEXT_COST : 2;
    return listOf(factor, sizeTimes(operand.size, operand.size));
  };

const sets =
  (factor: number): Estimator =>
  ({ args: [a, b] }) =>
    a && b && { cost: plus(scaled(sizeTimes(a.size, b.size).max, factor), 1) };

const LONGEST_NAME_PATTERN = 128;

/** By the name of a function, whatever its types are. */
const byName: Readonly<Record<string, Estimator>> = {
  ...named(perItem, "isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"),
  ...named(walkTarget, "lowerAscii", "upperAscii", "substring", "trim"),
  ...named(walkArgument, "cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"),
  ...named(nominal, "masked", "prefixLength", "family", "isUnspecified", "isLoopback", "isLinkLocalMulticast"),
  ...named(nominal, "isLinkLocalUnicast", "isGlobalUnicast", "format.named", "sign", "asInteger", "isInteger"),
  ...named(nominal, "asApproximateFloat", "isGreaterThan", "isLessThan", "compareTo", "add", "sub", "major", "minor"),
  ...named(nominal, "patch", "getScheme", "getHostname", "getHost", "getPort", "getEscapedPath", "getQuery"),
  url: ({ args: [text] }) => text && { cost: walked(text.size), size: text.size },
  ip: (call) => (call.target ? nominal(call) : walkArgument(call)),
  "ip.isCanonical": ({ args: [text] }) => text && { cost: walked(text.size, 2) },
  replace: replaced,
  split,
  join: joined,
  find: found,
  findAll: found,
  containsIP: contains(0),
  containsCIDR: contains(scaled(16, TEXT_COST) + 1),
  validate: ({ args: [text] }) => text && { cost: scaled(walked(text.size), LONGEST_NAME_PATTERN * REGEX_COST) },
  slice: ({ target, args: [from, to] }) =>
    target && from && to && listOf(1, exactly(unsigned((literalInt(to) ?? target.size.max) - (literalInt(from) ?? 0)))),
  flatten: ({ target, args: [depth] }) => target && listOf(depth ? (literalInt(depth) ?? MOST) : 1, target.size),
  "lists.range": ({ args: [count] }) => count && listOf(1, exactly(literalInt(count) ?? MOST)),
  reverse: ({ target }) => (target?.type.kind === "list" ? listOf(1, target.size) : undefined),
  distinct: squared(
    ({ target }) => target,
    () => false,
  ),
  sort: squared(({ target }) => target, isText),
  "@sortByAssociatedKeys": squared(({ args: [keys] }) => keys, isText),
  "sets.contains": sets(1),
  "sets.intersects": sets(1),
  "sets.equivalent": sets(2),
  ...named(({ args: [a, b] }) => a && b && compared(a, b), "_==_", "_!=_"),
  ...named(
    ({ args: [a, b], overload }) => {
      return a && b && isText(overload.parameters[0]) ? compared(a, b) : undefined;
    },
    "_<_",
    "_<=_",
    "_>_",
    "_>=_",
  ),
  ...named(({ args: [text] }) => text && { cost: walked(text.size) }, "startsWith", "endsWith"),
  contains: ({ target, args: [part] }) => target && part && { cost: times(walked(target.size), walked(part.size)) },
  // As a function, not a method, it has the cost of any other.
  matches: ({ target, args: [pattern] }) => target && pattern && { cost: searched(target, pattern) },
  format: ({ target }) => target && { cost: walked(target.size) },
  "strings.quote": ({ args: [text] }) =>
    text && { cost: walked(text.size), size: { min: text.size.min + 2, max: plus(text.size.max * 2, 2) } },
  "@in": ({ args: [, list], overload }) =>
    list && overload.parameters[1]?.kind === "list" ? { cost: list.size.max } : undefined,
  "_+_": ({ args: [a, b], overload: { result } }) => {
    if (!a || !b || (!isText(result) && result.kind !== "list")) return undefined;
    const size = sizePlus(a.size, b.size);
    return { cost: result.kind === "list" ? 1 : walked(size), size };
  },
  bytes: ({ args: [text], overload }) =>
    text && overload.parameters[0]?.kind === "string"
      ? { cost: walked(text.size), size: { min: text.size.min, max: times(text.size.max, 4) } }
      : undefined,
  string: ({ args: [data], overload }) =>
    data && overload.parameters[0]?.kind === "bytes"
      ? { cost: walked(data.size), size: { min: Math.floor(data.size.min / 4), max: data.size.max } }
      : undefined,
};

function named(estimator: Estimator, ...names: readonly string[]): Record<string, Estimator> {
  return Object.fromEntries(names.map((name) => [name, estimator]));
}

const ofOneCost = new Set(["net.IP", "net.CIDR", "kubernetes.Quantity", "kubernetes.Semver"]);

function compared(a: Operand, b: Operand): CallCost {
  if (a.type.kind === "opaque" && b.type.kind === "opaque" && a.type.name === b.type.name) {
    if (ofOneCost.has(a.type.name)) return { cost: 1 };
    if (a.type.name === "kubernetes.NamedFormat") return { cost: scaled(64, TEXT_COST) };
  }
  return { cost: scaled(Math.min(a.size.max, b.size.max), TEXT_COST) };
}

/** What one overload of a called function costs. */
export function costOfCall(call: Call): CallCost {
  const estimator = Object.hasOwn(byName, call.name) ? byName[call.name] : undefined;
  return estimator?.(call) ?? { cost: 1 };
}
