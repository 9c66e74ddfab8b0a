/** One requirement of a label selector: its check, its predicate and its text (apimachinery pkg/labels Requirement). */
import { badRequest } from "../errors.ts";
import { compareBytes, goQuote } from "./go-quote.ts";
import { labelKeyProblems, labelValueProblems } from "./label-syntax.ts";

export type LabelOperator = "=" | "==" | "!=" | "in" | "notin" | "exists" | "!" | "gt" | "lt";

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  readonly values: readonly string[];
}

export type Labels = Readonly<Record<string, string>>;

/** Checks and makes one requirement; throws BadRequest listing all that is wrong with it. */
export function labelRequirement(key: string, operator: LabelOperator, values: readonly string[]): LabelRequirement {
  const problems: string[] = [];
  const keyProblems = labelKeyProblems(key);
  if (keyProblems.length > 0) problems.push(`key: Invalid value: ${goQuote(key)}: ${keyProblems.join("; ")}`);
  const wrongCount = countProblem(operator, values);
  if (wrongCount !== undefined) problems.push(`values: Invalid value: ${JSON.stringify(values)}: ${wrongCount}`);
  for (const [index, value] of values.entries()) {
    if ((operator === "gt" || operator === "lt") && parseInt64(value) === undefined) {
      problems.push(
        `values[${index}]: Invalid value: ${goQuote(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
      );
    }
  }
  for (const [index, value] of values.entries()) {
    const valueProblems = labelValueProblems(value);
    if (valueProblems.length > 0) {
      problems.push(`values[${index}][${key}]: Invalid value: ${goQuote(value)}: ${valueProblems.join("; ")}`);
    }
  }
  const distinct = [...new Set(problems)];
  if (distinct.length > 0) throw badRequest(distinct.length === 1 ? (distinct[0] ?? "") : `[${distinct.join(", ")}]`);
  return { key, operator, values };
}

function countProblem(operator: LabelOperator, values: readonly string[]): string | undefined {
  switch (operator) {
    case "in":
    case "notin":
      return values.length === 0 ? "for 'in', 'notin' operators, values set can't be empty" : undefined;
    case "=":
    case "==":
    case "!=":
      return values.length === 1 ? undefined : "exact-match compatibility requires one single value";
    case "exists":
    case "!":
      return values.length === 0 ? undefined : "values set must be empty for exists and does not exist";
    case "gt":
    case "lt":
      return values.length === 1 ? undefined : "for 'Gt', 'Lt' operators, exactly one value is required";
  }
}

/** A requirement as a predicate. */
export function compileRequirement({ key, operator, values }: LabelRequirement): (labels: Labels) => boolean {
  const [value = ""] = values;
  const among = membership(values, value);
  switch (operator) {
    case "=":
    case "==":
    case "in":
      return (labels) => Object.hasOwn(labels, key) && among(labels[key] ?? "");
    case "!=":
    case "notin":
      return (labels) => !Object.hasOwn(labels, key) || !among(labels[key] ?? "");
    case "exists":
      return (labels) => Object.hasOwn(labels, key);
    case "!":
      return (labels) => !Object.hasOwn(labels, key);
    case "gt":
    case "lt": {
      const bound = parseInt64(value);
      return (labels) => {
        const given = Object.hasOwn(labels, key) ? parseInt64(labels[key] ?? "") : undefined;
        if (given === undefined || bound === undefined) return false;
        return operator === "gt" ? given > bound : given < bound;
      };
    }
  }
}

/** A set costs more than a few comparisons, and a selector may name as many values as a request has room for. */
const FEW = 8;

function membership(values: readonly string[], first: string): (given: string) => boolean {
  if (values.length === 1) return (given) => given === first;
  if (values.length <= FEW) return (given) => values.includes(given);
  const set = new Set(values);
  return (given) => set.has(given);
}

function parseInt64(text: string): bigint | undefined {
  if (!/^[+-]?[0-9]+$/.test(text)) return undefined;
  const value = BigInt(text.startsWith("+") ? text.slice(1) : text);
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

const spelled: Readonly<Record<LabelOperator, string>> = {
  "=": "=",
  "==": "==",
  "!=": "!=",
  in: " in ",
  notin: " notin ",
  gt: ">",
  lt: "<",
  exists: "",
  "!": "",
};

/** A requirement as it stands in a query string. */
export function formatRequirement({ key, operator, values }: LabelRequirement): string {
  if (operator === "!") return `!${key}`;
  const list = values.toSorted(compareBytes).join(",");
  return `${key}${spelled[operator]}${operator === "in" || operator === "notin" ? `(${list})` : list}`;
}
