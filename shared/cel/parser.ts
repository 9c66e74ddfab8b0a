/** Text to expressions, macros told apart from calls. */
import {
  CelSyntaxError,
  type Element,
  type Entry,
  type Expression,
  type Macro,
  type ObjectField,
  sortedList,
} from "./ast.ts";
import { type Token, tokenize } from "./lexer.ts";

/** As deep as cel-go reads. */
const MAX_DEPTH = 250;

/** Words that no identifier may be (CEL's grammar). */
export const reserved: ReadonlySet<string> = new Set([
  "as",
  "break",
  "const",
  "continue",
  "else",
  "for",
  "function",
  "if",
  "import",
  "in",
  "let",
  "loop",
  "package",
  "namespace",
  "return",
  "var",
  "void",
  "while",
]);

/** Throws CelSyntaxError. */
export function parse(source: string): Expression {
  const parser = new Parser(tokenize(source), source);
  const expression = parser.expression();
  parser.expectEnd();
  return expression;
}

/** Symbols that an expression may begin with, among others that may stand there, in the order of cel-go's grammar. */
const beginnings: ReadonlyMap<string, boolean> = new Map([
  ["[", true],
  ["]", false],
  ["{", true],
  ["}", false],
  ["(", true],
  [")", false],
  [".", true],
  [",", false],
  ["-", true],
  ["!", true],
  ["?", false],
]);
const literals = ["true", "false", "null", "NUM_FLOAT", "NUM_INT", "NUM_UINT", "STRING", "BYTES"];

const relations = new Set(["<", "<=", ">", ">=", "==", "!=", "in"]);

class Parser {
  private index = 0;
  private depth = 0;

  constructor(
    private readonly tokens: readonly Token[],
    private readonly source: string,
  ) {}

  private get token(): Token {
    return this.tokens[this.index] ?? (this.tokens.at(-1) as Token);
  }

  private is(text: string): boolean {
    const { token } = this;
    return token.text === text && (token.kind === "symbol" || (token.kind === "identifier" && !token.quoted));
  }

  private take(text: string): boolean {
    if (!this.is(text)) return false;
    this.index += 1;
    return true;
  }

  /** @param others that may stand there, too */
  private expect(text: string, ...others: readonly string[]): void {
    if (this.take(text)) return;
    const { token } = this;
    // What can be mended by one token more or less is told so (ANTLR's way).
    if (others.length === 0 && this.tokens[this.index + 1]?.text === text) throw this.unexpected([text], "extraneous");
    if (others.length === 0 && token.kind === "end" && text !== ":")
      throw new CelSyntaxError(token.at, `Syntax error: missing '${text}' at '${token.text}'`);
    throw this.unexpected([text, ...others]);
  }

  private unexpected(expecting: readonly string[], how: "mismatched" | "extraneous" = "mismatched"): CelSyntaxError {
    const { token } = this;
    const names = expecting.map((text) => (/^(<|[A-Z])/.test(text) ? text : `'${text}'`));
    const list = names.length === 1 ? names[0] : `{${names.join(", ")}}`;
    return new CelSyntaxError(token.at, `Syntax error: ${how} input '${token.text}' expecting ${list}`);
  }

  expectEnd(): void {
    if (this.token.kind === "end") return;
    const isLast = this.tokens[this.index + 1]?.kind === "end";
    throw this.unexpected(["<EOF>"], isLast ? "extraneous" : "mismatched");
  }

  /** @param others that may stand where an expression may begin. Throws where neither does. */
  private expectBeginning(...others: readonly string[]): void {
    const { token } = this;
    const isName = token.kind === "identifier" && !token.quoted;
    if (token.kind === "literal" || isName) return;
    if ([...beginnings.keys(), "[?"].some((text) => this.is(text) && (beginnings.get(text) ?? true))) return;
    if (others.some((text) => this.is(text))) return;
    const symbols = [...beginnings].filter(([text, isOne]) => isOne || others.includes(text)).map(([text]) => text);
    throw this.unexpected([...symbols, ...literals, "IDENTIFIER"]);
  }

  expression(): Expression {
    this.depth += 1;
    if (this.depth > MAX_DEPTH)
      throw new CelSyntaxError(this.token.at, `expression recursion limit exceeded: ${MAX_DEPTH}`);
    const condition = this.binary(0);
    let result = condition;
    if (this.is("?")) {
      const { at } = this.token;
      this.index += 1;
      const yes = this.binary(0);
      this.expect(":");
      const no = this.expression();
      result = call(at, "_?_:_", [condition, yes, no]);
    }
    this.depth -= 1;
    return result;
  }

  private static readonly levels: readonly (readonly string[])[] = [
    ["||"],
    ["&&"],
    [...relations],
    ["+", "-"],
    ["*", "/", "%"],
  ];

  private binary(level: number): Expression {
    const operators = Parser.levels[level];
    if (!operators) return this.unary();
    let left = this.binary(level + 1);
    for (;;) {
      const operator = operators.find((each) => this.is(each));
      if (operator === undefined) return left;
      const { at } = this.token;
      this.index += 1;
      const right = this.binary(level + 1);
      left = call(at, operator === "in" ? "@in" : `_${operator}_`, [left, right]);
    }
  }

  private unary(): Expression {
    const { token } = this;
    for (const [symbol, name] of [
      ["!", "!_"],
      ["-", "-_"],
    ] as const) {
      if (!this.is(symbol)) continue;
      let count = 0;
      while (this.take(symbol)) count += 1;
      const next = this.token;
      if (symbol === "-" && count % 2 === 1 && next.kind === "literal" && isNumber(next)) {
        this.index += 1;
        return this.members(negated(next, token.at));
      }
      const operand = this.members(this.primary());
      return count % 2 === 1 ? call(token.at, name, [operand]) : operand;
    }
    return this.members(this.primary());
  }

  private primary(): Expression {
    const { token } = this;
    if (token.kind === "literal") {
      this.index += 1;
      const { literal } = token;
      if (literal.type === "int" && literal.value > 0x7fff_ffff_ffff_ffffn)
        throw new CelSyntaxError(token.at, "invalid int literal");
      return { kind: "literal", value: literal, at: token.at };
    }
    if (this.take("(")) {
      const inner = this.expression();
      this.expect(")");
      return inner;
    }
    if (this.is("[") || this.is("[?")) return this.list();
    if (this.take("{")) return { kind: "map", entries: this.entries(), at: token.at };
    const isRooted = this.take(".");
    return this.identifier(isRooted, token.at);
  }

  private identifier(isRooted: boolean, at: number): Expression {
    const { token } = this;
    if (token.kind !== "identifier" || token.quoted) {
      if (!isRooted) this.expectBeginning();
      throw this.unexpected(["IDENTIFIER"]);
    }
    if (reserved.has(token.text)) throw new CelSyntaxError(token.at, `reserved identifier: ${token.text}`);
    this.index += 1;
    if (this.is("(")) {
      const { at: open } = this.token;
      return this.globalCall(token.text, this.args(), open);
    }
    return { kind: "identifier", name: isRooted ? `.${token.text}` : token.text, at };
  }

  /** @param at of the parenthesis, where cel-go places a call. */
  private globalCall(name: string, args: Expression[], at: number): Expression {
    if (name === "has" && args.length === 1) {
      const [field] = args;
      if (field?.kind !== "select" || field.test)
        throw new CelSyntaxError(field?.at ?? at, "invalid argument to has() macro");
      return { ...field, test: true, at };
    }
    return call(at, name, args);
  }

  private list(): Expression {
    const { at } = this.token;
    const items: Element[] = [];
    let optional = this.take("[?");
    if (!optional) this.expect("[");
    if (!optional) this.expectBeginning("]", ",", "?");
    while (optional || !(this.is("]") || this.token.kind === "end")) {
      optional ||= this.take("?");
      items.push({ value: this.expression(), optional });
      optional = false;
      if (this.take(",")) continue;
      this.expect("]", ",");
      return { kind: "list", items, at };
    }
    this.expect("]");
    return { kind: "list", items, at };
  }

  private entries(): Entry[] {
    const entries: Entry[] = [];
    this.expectBeginning("}", ",", "?");
    while (!this.is("}")) {
      const optional = this.take("?");
      const key = this.expression();
      this.expect(":");
      entries.push({ key, value: this.expression(), optional });
      if (this.take(",")) continue;
      this.expect("}", ",");
      return entries;
    }
    this.expect("}");
    return entries;
  }

  private args(): Expression[] {
    this.expect("(");
    const args: Expression[] = [];
    this.expectBeginning(")");
    while (!this.is(")")) {
      args.push(this.expression());
      if (!this.take(",")) break;
    }
    this.expect(")");
    return args;
  }

  private members(first: Expression): Expression {
    let operand = first;
    for (;;) {
      const { at } = this.token;
      if (this.take(".?"))
        operand = { kind: "select", operand, field: this.optionalField(at), optional: true, test: false, at };
      else if (this.take(".")) operand = this.member(operand, at);
      else if (this.is("[") || this.is("[?")) operand = this.subscript(operand, at);
      else if (this.is("{") && typeNameOf(operand) !== undefined) {
        this.index += 1;
        operand = { kind: "object", type: typeNameOf(operand) ?? "", fields: this.objectFields(), at };
      } else return operand;
    }
  }

  private subscript(operand: Expression, at: number): Expression {
    const optional = this.take("[?");
    if (!optional) this.expect("[");
    if (!optional) this.expectBeginning("?");
    const isOptional = optional || this.take("?");
    const index = this.expression();
    this.expect("]");
    return { kind: "index", operand, index, optional: isOptional, at };
  }

  private objectFields(): ObjectField[] {
    const fields: ObjectField[] = [];
    while (!this.is("}")) {
      const optional = this.take("?");
      const name = this.fieldName();
      const { at } = this.token;
      this.expect(":");
      fields.push({ name, value: this.expression(), optional, at });
      if (!this.take(",")) break;
    }
    this.expect("}");
    return fields;
  }

  private fieldName(): string {
    const { token } = this;
    if (!isFieldName(token)) throw this.unexpected(["}", ",", "?", "IDENTIFIER", "ESC_IDENTIFIER"]);
    this.index += 1;
    return token.text;
  }

  /** @param dot where the one before it stands */
  private expectMember(dot: number): void {
    const { token } = this;
    if (isFieldName(token)) return;
    const end = token.kind === "end" ? this.source.length : token.at + this.textOf(token).length;
    const read = this.source.slice(dot, end);
    throw new CelSyntaxError(token.at, `Syntax error: no viable alternative at input '${read}'`);
  }

  private textOf(token: Token): string {
    const next = this.tokens[this.tokens.indexOf(token) + 1];
    return this.source.slice(token.at, next?.at).trimEnd();
  }

  private optionalField(at: number): string {
    this.expectMember(at);
    return this.fieldName();
  }

  private member(operand: Expression, at: number): Expression {
    this.expectMember(at);
    const field = this.fieldName();
    if (!this.is("(")) return { kind: "select", operand, field, optional: false, test: false, at };
    const { at: open } = this.token;
    const args = this.args();
    const macro = macroOf(operand, field, args, open);
    return macro ?? { kind: "call", name: field, target: operand, args, at: open };
  }
}

/** `in` is an operator wherever it stands. */
const isFieldName = (token: Token): boolean => token.kind === "identifier" && (token.quoted || token.text !== "in");

const call = (at: number, name: string, args: readonly Expression[]): Expression => ({
  kind: "call",
  name,
  target: undefined,
  args,
  at,
});

function isNumber(token: Token): boolean {
  return token.kind === "literal" && (token.literal.type === "int" || token.literal.type === "double");
}

function negated(token: Token, at: number): Expression {
  if (token.kind !== "literal") throw new CelSyntaxError(at, "no number");
  const { literal } = token;
  if (literal.type === "double") return { kind: "literal", value: { type: "double", value: -literal.value }, at };
  if (literal.type === "int") return { kind: "literal", value: { type: "int", value: -literal.value }, at };
  throw new CelSyntaxError(at, "no number");
}

/** `a.b.C`, where an expression is nothing but names. */
function typeNameOf(expression: Expression): string | undefined {
  if (expression.kind === "identifier") return expression.name.replace(/^\./, "");
  if (expression.kind !== "select" || expression.test || expression.optional) return undefined;
  const outer = typeNameOf(expression.operand);
  return outer === undefined ? undefined : `${outer}.${expression.field}`;
}

interface MacroForm {
  readonly macro: Macro;
  readonly variables: number;
  readonly hasFilter: boolean;
}

/** By name and number of arguments. */
const macros: Readonly<Record<string, MacroForm>> = {
  "all/2": { macro: "all", variables: 1, hasFilter: false },
  "all/3": { macro: "all", variables: 2, hasFilter: false },
  "exists/2": { macro: "exists", variables: 1, hasFilter: false },
  "exists/3": { macro: "exists", variables: 2, hasFilter: false },
  "exists_one/2": { macro: "existsOne", variables: 1, hasFilter: false },
  "existsOne/2": { macro: "existsOne", variables: 1, hasFilter: false },
  "existsOne/3": { macro: "existsOne", variables: 2, hasFilter: false },
  "map/2": { macro: "map", variables: 1, hasFilter: false },
  "map/3": { macro: "map", variables: 1, hasFilter: true },
  "filter/2": { macro: "filter", variables: 1, hasFilter: false },
  "transformList/3": { macro: "map", variables: 2, hasFilter: false },
  "transformList/4": { macro: "map", variables: 2, hasFilter: true },
  "transformMap/3": { macro: "transformMap", variables: 2, hasFilter: false },
  "transformMap/4": { macro: "transformMap", variables: 2, hasFilter: true },
  "transformMapEntry/3": { macro: "transformMapEntry", variables: 2, hasFilter: false },
  "transformMapEntry/4": { macro: "transformMapEntry", variables: 2, hasFilter: true },
  "optMap/2": { macro: "optMap", variables: 1, hasFilter: false },
  "optFlatMap/2": { macro: "optFlatMap", variables: 1, hasFilter: false },
};

function macroOf(target: Expression, name: string, args: readonly Expression[], at: number): Expression | undefined {
  if (name === "bind" && args.length === 3 && target.kind === "identifier" && target.name === "cel") {
    const [variable, range, body] = args;
    if (variable && range && body) {
      return comprehension({ macro: "bind", variables: 1, hasFilter: false }, range, [variable, body], target.at);
    }
  }
  if (name === "sortBy" && args.length === 2) return sortBy(target, args, at);
  const form = macros[`${name}/${args.length}`];
  if (!form || !Object.hasOwn(macros, `${name}/${args.length}`)) return undefined;
  return comprehension(form, target, args, at);
}

/** `l.sortBy(x, key)`: the list, bound once, sorted by a list of the keys of its items. */
function sortBy(target: Expression, args: readonly Expression[], at: number): Expression {
  const list: Expression = { kind: "identifier", name: sortedList, at };
  const keys = comprehension({ macro: "map", variables: 1, hasFilter: false }, list, args, at);
  const body: Expression = { kind: "call", name: "@sortByAssociatedKeys", target: list, args: [keys], at };
  return { kind: "comprehension", macro: "bind", range: target, variables: [sortedList], filter: undefined, body, at };
}

function comprehension(form: MacroForm, range: Expression, args: readonly Expression[], at: number): Expression {
  const variables = args.slice(0, form.variables).map((arg) => {
    if (arg.kind === "identifier" && !arg.name.startsWith(".")) return arg.name;
    throw new CelSyntaxError(arg.at, noVariable(form));
  });
  const rest = args.slice(form.variables);
  const body = rest.at(-1);
  if (!body) throw new CelSyntaxError(at, "a macro without a body");
  return {
    kind: "comprehension",
    macro: form.macro,
    range,
    variables,
    filter: form.hasFilter ? rest[0] : undefined,
    body,
    at,
  };
}

/** What cel-go says of a variable that is no name. */
function noVariable({ macro, variables }: MacroForm): string {
  switch (macro) {
    case "bind":
      return "cel.bind() variable names must be simple identifiers";
    case "optMap":
    case "optFlatMap":
      return `${macro}() variable name must be a simple identifier`;
    case "map":
    case "filter":
      return variables === 1 ? "argument is not an identifier" : "argument must be a simple name";
    default:
      return "argument must be a simple name";
  }
}
