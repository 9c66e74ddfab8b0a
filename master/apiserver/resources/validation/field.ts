/**
 * Field errors, made along a path (field.Path, field.Error and field.ErrorList of apimachinery). A validator is a
 * function of a value and the Field it stands at; what it finds wrong goes into the one list behind all Fields of a run.
 */
import type { FieldError, FieldErrorReason } from "#shared/api/errors.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";

/** Characters in which faults of one object are told; more are not looked for. A list may be shown with each of its items, as upstream
 *  does, which comes to more than the memory holds. */
const ENOUGH = 256 * 1024;
const said = new WeakMap<readonly FieldError[], number>();
/** The rule that a fault is of, where objects are older than the rule. */
const rules = new WeakMap<FieldError, string>();

export class Field {
  readonly #errors: FieldError[];
  readonly #parent: Field | undefined;
  readonly #step: string | number | readonly string[];
  readonly #rule: string | undefined;

  /** `path` leads on from the parent: an index, or a path as it is written (`[key]`), or names of fields. */
  constructor(path: string | number | readonly string[], errors: FieldError[], parent?: Field, rule?: string) {
    this.#step = path;
    this.#errors = errors;
    this.#parent = parent;
    this.#rule = parent ? (rule ?? parent.#rule) : rule;
  }

  /** Put together when something is found wrong: most places are fine. */
  get path(): string {
    const step = this.#step;
    const before = this.#parent?.path ?? "";
    if (typeof step === "number") return `${before}[${step}]`;
    if (typeof step === "string") return before + step;
    return before === "" ? step.join(".") : `${before}.${step.join(".")}`;
  }

  /** A child, or a child's child: `at("spec", "ports")`. */
  at(...names: string[]): Field {
    return new Field(names, this.#errors, this);
  }
  index(index: number): Field {
    return new Field(index, this.#errors, this);
  }
  /** An entry of a map. */
  key(key: string): Field {
    return new Field(`[${key}]`, this.#errors, this);
  }
  /** The same place in a run of its own: to see whether something is wrong there before saying so. */
  apart(): { readonly field: Field; readonly errors: FieldError[] } {
    const errors: FieldError[] = [];
    return { field: new Field("", errors, this), errors };
  }

  /** The same place, judged by a rule that some objects are older than: see withoutOldFaults. */
  ruled(rule: string): Field {
    return new Field("", this.#errors, this, rule);
  }

  required(detail = ""): void {
    this.#add("FieldValueRequired", "Required value", detail);
  }
  forbidden(detail: string): void {
    this.#add("FieldValueForbidden", "Forbidden", detail);
  }
  invalid(value: unknown, detail: string): void {
    this.#add("FieldValueInvalid", `Invalid value: ${this.#shown(value)}`, detail);
  }
  /** Where the value would say nothing, or too much. */
  invalidWithoutValue(detail: string): void {
    this.#add("FieldValueInvalid", "Invalid value", detail);
  }
  /** One error for each message: what the checks of names.ts give. */
  invalidEach(value: unknown, details: readonly string[]): void {
    for (const detail of details) this.invalid(value, detail);
  }
  notSupported(value: unknown, supported: readonly string[]): void {
    const list = supported.map((each) => JSON.stringify(each)).join(", ");
    this.#add(
      "FieldValueNotSupported",
      `Unsupported value: ${this.#shown(value)}`,
      list === "" ? "" : `supported values: ${list}`,
    );
  }
  notFound(value: unknown, detail = ""): void {
    this.#add("FieldValueNotFound", `Not found: ${this.#shown(value)}`, detail);
  }
  duplicate(value: unknown, detail = ""): void {
    this.#add("FieldValueDuplicate", `Duplicate value: ${this.#shown(value)}`, detail);
  }
  duplicateWithoutValue(): void {
    this.#add("FieldValueDuplicate", "Duplicate value", "");
  }
  tooLong(max_bytes: number): void {
    this.#add(
      "FieldValueTooLong",
      "Too long",
      `may not be more than ${max_bytes} ${max_bytes === 1 ? "byte" : "bytes"}`,
    );
  }
  tooMany(actual: number, max: number): void {
    this.#add("FieldValueTooMany", `Too many: ${actual}`, `must have at most ${max} ${max === 1 ? "item" : "items"}`);
  }
  internal(detail: string): void {
    this.#add("InternalError", "Internal error", detail);
  }
  /** Takes over what a run apart found. */
  addAll(errors: readonly FieldError[]): void {
    this.#errors.push(...errors);
  }

  #add(reason: FieldErrorReason, what: string, detail: string): void {
    if (this.#isEnough) return;
    const error = { field: this.path, reason, message: detail === "" ? what : `${what}: ${detail}` };
    this.#errors.push(error);
    if (this.#rule !== undefined) rules.set(error, this.#rule);
    said.set(this.#errors, (said.get(this.#errors) ?? 0) + error.field.length + error.message.length);
  }

  #shown(value: unknown): string {
    return this.#isEnough ? "" : render(value);
  }

  get #isEnough(): boolean {
    return (said.get(this.#errors) ?? 0) > ENOUGH;
  }
}

/** Runs a validator from the top of an object and gives what it found. */
export function collect(validate: (root: Field) => void): FieldError[] {
  const errors: FieldError[] = [];
  validate(new Field("", errors));
  return errors;
}

/**
 * What is wrong with an update, but for rules that the present object breaks as well: it may stay as it is, and be changed
 * elsewhere (upstream's validation options, which are worked out from the old object). `ofPresent` judges it as it is.
 */
export function withoutOldFaults(faults: FieldError[], ofPresent: () => readonly FieldError[]): FieldError[] {
  if (!faults.some((fault) => rules.has(fault))) return faults;
  const broken = new Set(ofPresent().map((fault) => rules.get(fault)));
  return faults.filter((fault) => !rules.has(fault) || !broken.has(rules.get(fault)));
}

/** Whether any fault is of no such rule. */
export const hasFirmFault = (faults: readonly FieldError[]): boolean => faults.some((fault) => !rules.has(fault));

/** A bad value as Go prints it: strings quoted, all else as JSON. */
function render(value: unknown): string {
  if (value === undefined || value === null) return "null";
  if (typeof value === "string") return goQuote(value);
  if (typeof value !== "object") return JSON.stringify(value);
  return JSON.stringify(value).replace(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
}

/** Runs a validator on each item of a list, at its place. */
export function each<T>(
  items: readonly T[] | undefined,
  field: Field,
  validate: (item: T, field: Field) => void,
): void {
  for (let index = 0; items && index < items.length; index += 1) validate(items[index] as T, field.index(index));
}

/** Whether one of a closed set; says what the set is where it is not. */
export function oneOf(value: string | undefined, supported: readonly string[], field: Field): void {
  if (!supported.includes(value ?? "")) field.notSupported(value ?? "", supported);
}

/** As oneOf, but an absent or empty value is required. */
export function requiredOneOf(value: string | undefined, supported: readonly string[], field: Field): void {
  if (!value) field.required();
  else oneOf(value, supported, field);
}

export function nonNegative(value: number | undefined, field: Field): void {
  if (value !== undefined && value < 0) field.invalid(value, "must be greater than or equal to 0");
}

export function positive(value: number, field: Field): void {
  if (value <= 0) field.invalid(value, "must be greater than zero");
}

export const immutableMessage = "field is immutable";

export function immutable(value: unknown, old: unknown, field: Field): void {
  if (!semanticEqual(value, old)) field.invalid(value, immutableMessage);
}

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

/** Equality of two API values as upstream means it: an empty list is no list, an absent key is undefined. Quantities and
 *  times are compared as text, since stored objects hold their canonical forms. */
export function semanticEqual(a: unknown, b: unknown): boolean {
  const left = isEmptyList(a) ? undefined : (a ?? undefined);
  const right = isEmptyList(b) ? undefined : (b ?? undefined);
  if (left === right) return true;
  if (typeof left !== "object" || typeof right !== "object") return false;
  if (Array.isArray(left) || Array.isArray(right)) {
    return (
      Array.isArray(left) &&
      Array.isArray(right) &&
      left.length === right.length &&
      left.every((item, index) => semanticEqual(item, right[index]))
    );
  }
  const [l, r] = [left as Record<string, unknown>, right as Record<string, unknown>];
  return [...new Set([...Object.keys(l), ...Object.keys(r)])].every((key) => semanticEqual(l[key], r[key]));
}

/** What differs between two values, a line each: `- path: old` and `+ path: new`. For people; no client reads it. */
export function difference(old: unknown, value: unknown, path = ""): string {
  if (semanticEqual(old, value)) return "";
  if (typeof old === "object" && typeof value === "object" && old !== null && value !== null) {
    const [o, v] = [old as Record<string, unknown>, value as Record<string, unknown>];
    const child = (key: string): string =>
      Array.isArray(old) ? `${path}[${key}]` : path === "" ? key : `${path}.${key}`;
    return [...new Set([...Object.keys(o), ...Object.keys(v)])]
      .map((key) => difference(o[key], v[key], child(key)))
      .join("");
  }
  const line = (sign: string, side: unknown): string =>
    side === undefined ? "" : `${sign} ${path}: ${JSON.stringify(side)}\n`;
  return line("-", old) + line("+", value);
}
