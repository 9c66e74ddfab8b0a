/** Faults of literals that an expression could only fail with when it runs (cel-go's AST validators, as apiserver sets them). */
import type { Element, Expression, Issue } from "./ast.ts";
import type { CheckNotes } from "./checker.ts";
import { formatFault } from "./format-checks.ts";
import { patternOf } from "./string-library.ts";
import { checkedTypeName, dyn, isOptional, isUndetermined, type Type } from "./types.ts";
import { CelError, parseDuration, parseTimestamp } from "./values.ts";

/** What a text that is the first argument has to be. */
const texts: Readonly<Record<string, (text: string) => boolean>> = {
  duration: (text) => parseDuration(text) !== undefined,
  timestamp: (text) => parseTimestamp(text) !== undefined,
  matches: isRegex,
};

function isRegex(text: string): boolean {
  try {
    patternOf(text);
    return true;
  } catch (error) {
    if (error instanceof CelError) return false;
    throw error;
  }
}

/** Of an expression that is right otherwise; in the order of their places. */
export function literalFaults(expression: Expression, notes: CheckNotes): Issue[] {
  const issues: Issue[] = [];
  const typeOf = ({ value, optional }: Pick<Element, "value" | "optional">): Type => {
    const type = notes.types.get(value) ?? dyn;
    return optional && isOptional(type) ? (type.parameters[0] ?? dyn) : type;
  };
  /** Values of one list, or keys or values of one map, are of one type. */
  const alike = (elements: readonly Pick<Element, "value" | "optional">[]): void => {
    const [first, ...others] = elements
      .filter((element) => !isUndetermined(typeOf(element)))
      .map((element) => ({ ...element, name: checkedTypeName(typeOf(element)) }));
    // Of a type that nothing tells is an optional of nothing.
    const odd = others.find(({ name, optional }) => name !== first?.name && !(optional && name === "dyn"));
    if (odd) issues.push({ at: odd.value.at, message: `expected type '${first?.name}' but found '${odd.name}'` });
  };
  /** What is formatted may be of any types. */
  const look = (part: Expression, isFormatted: boolean): void => {
    if (part.kind === "call") {
      const [argument] = part.args;
      const fits = Object.hasOwn(texts, part.name) ? texts[part.name] : undefined;
      if (fits && argument?.kind === "literal" && argument.value.type === "string" && !fits(argument.value.value)) {
        issues.push({ at: argument.at, message: `invalid ${part.name} argument` });
      }
    }
    const fault = formatFault(part, (each) => notes.types.get(each) ?? dyn);
    if (fault) issues.push(fault);
    if (!isFormatted && part.kind === "list") alike(part.items);
    if (!isFormatted && part.kind === "map") {
      alike(part.entries.map(({ key }) => ({ value: key, optional: false })));
      alike(part.entries);
    }
    const formats = isFormatted || (part.kind === "call" && part.name === "format");
    for (const child of partsOf(part)) look(child, formats);
  };
  look(expression, false);
  return issues.sort((a, b) => a.at - b.at);
}

/** Expressions directly inside one. */
function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case "literal":
    case "identifier":
      return [];
    case "select":
      return [expression.operand];
    case "index":
      return [expression.operand, expression.index];
    case "call":
      return expression.target ? [expression.target, ...expression.args] : expression.args;
    case "list":
      return expression.items.map(({ value }) => value);
    case "map":
      return expression.entries.flatMap(({ key, value }) => [key, value]);
    case "object":
      return expression.fields.map(({ value }) => value);
    case "comprehension":
      return [expression.range, ...(expression.filter ? [expression.filter] : []), expression.body];
  }
}
