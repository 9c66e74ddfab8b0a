/** The grammar of label selector query strings, with the error wording of apimachinery's pkg/labels parser. */
import { badRequest, StatusError } from "../errors.ts";
import { compareBytes, goQuote } from "./go-quote.ts";
import { type LabelOperator, type LabelRequirement, labelRequirement } from "./label-requirement.ts";
import { labelKeyProblems } from "./label-syntax.ts";

type TokenKind = "end" | "identifier" | ")" | "," | "!" | "==" | "=" | ">" | "in" | "<" | "!=" | "notin" | "(";
interface Token {
  readonly kind: TokenKind;
  readonly text: string;
}

const symbols: readonly TokenKind[] = [")", ",", "!", "==", "=", ">", "<", "!=", "("];
const isSymbol = (text: string): text is TokenKind => (symbols as readonly string[]).includes(text);
const isSpecial = (character: string): boolean => "=!(),><".includes(character);
const isSpace = (character: string): boolean => " \t\r\n".includes(character);
const binaryOperators = "in, notin, =, ==, !=, gt, lt";

/** Requirements of a selector string in the order written; throws BadRequest. */
export function parseRequirements(text: string): LabelRequirement[] {
  const parser = new Parser(tokenize(text));
  return parser.parse();
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  // A NUL ends the input, as it does upstream.
  const end = text.includes("\0") ? text.indexOf("\0") : text.length;
  let at = 0;
  while (at < end) {
    const character = text.charAt(at);
    if (isSpace(character)) {
      at++;
      continue;
    }
    let stop = at;
    if (!isSpecial(character)) {
      while (stop < end && !isSpecial(text.charAt(stop)) && !isSpace(text.charAt(stop))) stop++;
      const word = text.slice(at, stop);
      tokens.push({ kind: word === "in" || word === "notin" ? word : "identifier", text: word });
    } else {
      while (stop < end && isSpecial(text.charAt(stop)) && isSymbol(text.slice(at, stop + 1))) stop++;
      const symbol = text.slice(at, stop);
      if (isSymbol(symbol)) tokens.push({ kind: symbol, text: symbol });
    }
    at = stop;
  }
  tokens.push({ kind: "end", text: "" });
  return tokens;
}

class Parser {
  #at = 0;
  readonly #tokens: readonly Token[];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    for (;;) {
      const token = this.#peekValue();
      if (token.kind === "end") return requirements;
      if (token.kind !== "identifier" && token.kind !== "!") {
        throw badRequest(`found '${token.text}', expected: !, identifier, or 'end of string'`);
      }
      requirements.push(this.#requirementInContext());
      const next = this.#takeValue();
      if (next.kind === "end") return requirements;
      if (next.kind !== ",") throw badRequest(`found '${next.text}', expected: ',' or 'end of string'`);
      const after = this.#peekValue();
      if (after.kind !== "identifier" && after.kind !== "!") {
        throw badRequest(`found '${after.text}', expected: identifier after ','`);
      }
    }
  }

  #requirementInContext(): LabelRequirement {
    try {
      return this.#requirement();
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      throw badRequest(`unable to parse requirement: ${error.message}`);
    }
  }

  #requirement(): LabelRequirement {
    let token = this.#takeValue();
    const negated = token.kind === "!";
    if (negated) token = this.#takeValue();
    if (token.kind !== "identifier") throw badRequest(`found '${token.text}', expected: identifier`);
    const key = token.text;
    const problems = labelKeyProblems(key);
    // "<nil>" is how upstream prints the path of a selector that stands in a query.
    if (problems.length > 0) throw badRequest(`<nil>: Invalid value: ${goQuote(key)}: ${problems.join("; ")}`);
    const next = this.#peekValue();
    if (negated) return labelRequirement(key, "!", []);
    if (next.kind === "end" || next.kind === ",") return labelRequirement(key, "exists", []);
    const operator = this.#operator();
    const values = operator === "in" || operator === "notin" ? this.#valueSet() : this.#singleValue();
    return labelRequirement(key, operator, [...new Set(values)].sort(compareBytes));
  }

  #operator(): LabelOperator {
    const token = this.#take();
    switch (token.kind) {
      case "in":
      case "notin":
      case "=":
      case "==":
      case "!=":
        return token.kind;
      case ">":
        return "gt";
      case "<":
        return "lt";
      default:
        throw badRequest(`found '${token.text}', expected: ${binaryOperators}`);
    }
  }

  #singleValue(): string[] {
    const next = this.#peekValue();
    if (next.kind === "end" || next.kind === ",") return [""];
    const token = this.#takeValue();
    if (token.kind === "identifier") return [token.text];
    throw badRequest(`found '${token.text}', expected: identifier`);
  }

  #valueSet(): string[] {
    const open = this.#takeValue();
    if (open.kind !== "(") throw badRequest(`found '${open.text}' expected: '('`);
    const first = this.#peekValue();
    if (first.kind === ")") {
      this.#takeValue();
      return [""];
    }
    if (first.kind !== "identifier" && first.kind !== ",") {
      throw badRequest(`found '${first.text}', expected: ',', ')' or identifier`);
    }
    const values = this.#identifiers();
    if (this.#takeValue().kind !== ")") throw badRequest(`found '${first.text}', expected: ')'`);
    return values;
  }

  #identifiers(): string[] {
    const values: string[] = [];
    for (;;) {
      const token = this.#takeValue();
      const next = this.#peekValue();
      if (token.kind === "identifier") {
        values.push(token.text);
        if (next.kind === ")") return values;
        if (next.kind !== ",") throw badRequest(`found '${next.text}', expected: ',' or ')'`);
      } else if (token.kind === ",") {
        // An empty place between commas or beside a bracket is the empty value.
        if (values.length === 0 || next.kind === "," || next.kind === ")") values.push("");
        if (next.kind === ")") return values;
      } else {
        throw badRequest(`found '${token.text}', expected: ',', or identifier`);
      }
    }
  }

  #peekValue(): Token {
    return asValue(this.#tokens[Math.min(this.#at, this.#tokens.length - 1)] ?? endToken);
  }

  #takeValue(): Token {
    return asValue(this.#take());
  }

  #take(): Token {
    const token = this.#tokens[Math.min(this.#at, this.#tokens.length - 1)] ?? endToken;
    this.#at++;
    return token;
  }
}

const endToken: Token = { kind: "end", text: "" };

/** `in` and `notin` are ordinary words where a key or a value stands. */
function asValue(token: Token): Token {
  return token.kind === "in" || token.kind === "notin" ? { kind: "identifier", text: token.text } : token;
}
