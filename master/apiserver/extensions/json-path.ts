/** The JSONPath that printer columns and selectable fields are written in: fields, indexes, `[*]` and `[?(@.a=="b")]`. */
import { numberToken } from "#shared/api/codec/number.ts";
import { isJsonObject, member } from "#shared/api/patch/json-value.ts";

type Step =
  | { readonly kind: "field"; readonly name: string }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "all" }
  | { readonly kind: "filter"; readonly path: JsonPath; readonly operator: string; readonly literal: unknown };

export class JsonPathError extends Error {
  override readonly name = "JsonPathError";
}

const fieldPattern = /^\.?((?:\\.|[^.[\]\\])+)/;
const bracketPattern = /^\[(?:'([^']*)'|"([^"]*)"|(-?\d+)|(\*))\]/;
const filterPattern =
  /^\[\?\(\s*@((?:\.[A-Za-z0-9_\-/]+|\['[^']*'\])*)\s*(?:(==|!=|<=|>=|<|>)\s*("[^"]*"|'[^']*'|[^\s)]+)\s*)?\)\]/;

/** A parsed path. `find` gives every value that it leads to; a missing field leads nowhere. */
export class JsonPath {
  private constructor(private readonly steps: readonly Step[]) {}

  /** Throws JsonPathError. */
  static parse(text: string): JsonPath {
    const steps: Step[] = [];
    let rest = text.startsWith("$") ? text.slice(1) : text;
    if (rest === ".") rest = "";
    while (rest !== "") {
      const [step, length] = nextStep(rest, text);
      steps.push(step);
      rest = rest.slice(length);
    }
    return new JsonPath(steps);
  }

  find(root: unknown): unknown[] {
    let found: unknown[] = [root];
    for (const step of this.steps) found = found.flatMap((value) => follow(value, step));
    return found;
  }

  /** The names, where the path consists of fields alone. */
  get fields(): readonly string[] | undefined {
    const names = this.steps.flatMap((step) => (step.kind === "field" ? [step.name] : []));
    return names.length === this.steps.length ? names : undefined;
  }
}

function nextStep(rest: string, text: string): [Step, number] {
  const filter = filterPattern.exec(rest);
  if (filter) {
    const [whole, path = "", operator = "", literal = ""] = filter;
    return [{ kind: "filter", path: JsonPath.parse(path), operator, literal: literalOf(literal) }, whole.length];
  }
  const bracket = bracketPattern.exec(rest);
  if (bracket) {
    const [whole, single, double, index, star] = bracket;
    if (star !== undefined) return [{ kind: "all" }, whole.length];
    if (index !== undefined) return [{ kind: "index", index: Number(index) }, whole.length];
    return [{ kind: "field", name: single ?? double ?? "" }, whole.length];
  }
  const field = rest.startsWith("[") ? null : fieldPattern.exec(rest);
  if (!field) throw new JsonPathError(`cannot read the path ${JSON.stringify(text)} at ${JSON.stringify(rest)}`);
  const [whole, name = ""] = field;
  if (name === "*") return [{ kind: "all" }, whole.length];
  return [{ kind: "field", name: name.replace(/\\(.)/g, "$1") }, whole.length];
}

function literalOf(text: string): unknown {
  if (/^["']/.test(text)) return text.slice(1, -1);
  if (text === "true" || text === "false") return text === "true";
  return Number(text);
}

function follow(value: unknown, step: Step): unknown[] {
  switch (step.kind) {
    case "field": {
      const child = isJsonObject(value) ? member(value, step.name) : undefined;
      return child === undefined ? [] : [child];
    }
    case "index": {
      if (!Array.isArray(value)) return [];
      const child = value.at(step.index);
      return child === undefined ? [] : [child];
    }
    case "all":
      return elementsOf(value);
    case "filter":
      return elementsOf(value).filter((element) => passes(element, step));
  }
}

function elementsOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return isJsonObject(value) ? Object.values(value) : [];
}

function passes(element: unknown, { path, operator, literal }: Extract<Step, { kind: "filter" }>): boolean {
  const [found] = path.find(element);
  if (operator === "") return found !== undefined;
  if (found === undefined) return false;
  const token = numberToken(found);
  const left = token === undefined ? found : Number(token);
  const right = literal as typeof left;
  switch (operator) {
    case "==":
      return left === right;
    case "!=":
      return left !== right;
    default:
      return compare(left, right, operator);
  }
}

function compare(left: unknown, right: unknown, operator: string): boolean {
  const comparable =
    (typeof left === "number" && typeof right === "number") || (typeof left === "string" && typeof right === "string");
  if (!comparable) return false;
  if (operator === "<") return left < right;
  if (operator === "<=") return left <= right;
  return operator === ">" ? left > right : left >= right;
}

/** A found value as text, as Go prints it: text as it is, all else as JSON. */
export function printed(value: unknown): string {
  if (typeof value === "string") return value;
  return numberToken(value) ?? JSON.stringify(value);
}
