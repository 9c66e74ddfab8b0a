import { CelSyntaxError, type Literal } from "./ast.ts";

export type Token =
  | { readonly kind: "identifier"; readonly text: string; readonly at: number; readonly quoted: boolean }
  | { readonly kind: "literal"; readonly literal: Literal; readonly text: string; readonly at: number }
  | { readonly kind: "symbol"; readonly text: string; readonly at: number }
  | { readonly kind: "end"; readonly text: "<EOF>"; readonly at: number };

/** An expression longer than this is not read (cel-go's limit of code points). */
const MAX_LENGTH = 100_000;

const symbols = [
  "&&",
  "||",
  "==",
  "!=",
  "<=",
  ">=",
  ".?",
  "[?",
  "?",
  ":",
  ",",
  ".",
  "(",
  ")",
  "[",
  "]",
  "{",
  "}",
  "<",
  ">",
  "+",
  "-",
  "*",
  "/",
  "%",
  "!",
];
const space = /(?:[\s]|\/\/[^\n]*)+/y;
const identifier = /[A-Za-z_][A-Za-z0-9_]*/y;
const quotedIdentifier = /`([A-Za-z0-9_.\-/ ]+)`/y;
const hex = /0[xX][0-9a-fA-F]+([uU])?/y;
const double = /(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)/y;
const integer = /\d+([uU])?/y;
const textStart = /([rRbB]{0,2})("""|'''|"|')/y;

/** Throws CelSyntaxError. */
export function tokenize(source: string): Token[] {
  if (source.length > MAX_LENGTH)
    throw new CelSyntaxError(
      0,
      `expression code point size exceeds limit: size: ${source.length}, limit ${MAX_LENGTH}`,
    );
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  while (at < source.length) {
    const blank = match(space);
    if (blank) {
      at += blank[0].length;
      continue;
    }
    const start = match(textStart);
    if (start) {
      const { literal, length } = readText(source, at, start);
      tokens.push({ kind: "literal", literal, text: source.slice(at, at + length), at });
      at += length;
      continue;
    }
    const token = number(match, at) ?? name(match, at) ?? symbol(source, at);
    tokens.push(token.token);
    at += token.length;
  }
  tokens.push({ kind: "end", text: "<EOF>", at: source.length });
  return tokens;
}

type Match = (pattern: RegExp) => RegExpExecArray | null;
interface Read {
  readonly token: Token;
  readonly length: number;
}

function number(match: Match, at: number): Read | undefined {
  const found = match(hex) ?? match(double) ?? match(integer);
  if (!found) return undefined;
  const [text, unsigned] = found;
  const isDouble = !/^0[xX]/.test(text) && /[.eE]/.test(text);
  const literal: Literal = isDouble
    ? { type: "double", value: Number(text) }
    : { type: unsigned ? "uint" : "int", value: BigInt(unsigned ? text.slice(0, -1) : text) };
  if (literal.type === "uint" && literal.value > 0xffff_ffff_ffff_ffffn)
    throw new CelSyntaxError(at, "invalid uint literal");
  // One more than the greatest int, for the literal that a minus makes the least of.
  if (literal.type === "int" && literal.value > 0x8000_0000_0000_0000n)
    throw new CelSyntaxError(at, "invalid int literal");
  return { token: { kind: "literal", literal, text, at }, length: text.length };
}

function name(match: Match, at: number): Read | undefined {
  const quoted = match(quotedIdentifier);
  if (quoted) {
    return { token: { kind: "identifier", text: quoted[1] ?? "", at, quoted: true }, length: quoted[0].length };
  }
  const found = match(identifier);
  if (!found) return undefined;
  const [text] = found;
  const constant: Literal | undefined =
    text === "true" || text === "false"
      ? { type: "bool", value: text === "true" }
      : text === "null"
        ? { type: "null", value: null }
        : undefined;
  if (constant) return { token: { kind: "literal", literal: constant, text, at }, length: text.length };
  return { token: { kind: "identifier", text, at, quoted: false }, length: text.length };
}

function symbol(source: string, at: number): Read {
  const text = symbols.find((each) => source.startsWith(each, at));
  if (text === undefined) {
    const letter = String.fromCodePoint(source.codePointAt(at) ?? 0);
    throw new CelSyntaxError(at, `Syntax error: token recognition error at: '${letter}'`);
  }
  return { token: { kind: "symbol", text, at }, length: text.length };
}

function readText(source: string, at: number, start: RegExpExecArray): { literal: Literal; length: number } {
  const [opening, prefix = "", quote = ""] = start;
  const isRaw = /r/i.test(prefix);
  const isBytes = /b/i.test(prefix);
  let end = at + opening.length;
  for (;;) {
    if (end >= source.length || (quote.length === 1 && source[end] === "\n")) {
      throw new CelSyntaxError(at, `Syntax error: token recognition error at: '${source.slice(at, end)}'`);
    }
    if (source.startsWith(quote, end)) break;
    end += source[end] === "\\" && !isRaw ? 2 : 1;
  }
  const body = source.slice(at + opening.length, end);
  const length = end + quote.length - at;
  if (isBytes) return { literal: { type: "bytes", value: bytesOf(body, isRaw, at) }, length };
  return { literal: { type: "string", value: isRaw ? body : unescaped(body, at) }, length };
}

/** What a letter after a backslash stands for wherever text in single quotes is read: literals of CEL, paths of fields. */
export const commonEscapes: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
};
const simple: Readonly<Record<string, string>> = {
  ...commonEscapes,
  '"': '"',
  "`": "`",
  "?": "?",
};
const escapeSequence =
  /\\(?:([abfnrtv\\'"`?])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([\s\S]?))/g;

function unescaped(body: string, at: number): string {
  return body.replace(escapeSequence, (_, plain, byte, short, long, octal) => {
    if (plain !== undefined) return simple[plain] ?? "";
    const code = byte ?? short ?? long;
    if (code === undefined && octal === undefined)
      throw new CelSyntaxError(at, "Syntax error: invalid escape sequence");
    return String.fromCodePoint(code === undefined ? Number.parseInt(octal, 8) : Number.parseInt(code, 16));
  });
}

function bytesOf(body: string, isRaw: boolean, at: number): Uint8Array {
  if (isRaw) return Buffer.from(body);
  const parts: Uint8Array[] = [];
  let last = 0;
  for (const found of body.matchAll(escapeSequence)) {
    const [whole, plain, byte, short, long, octal] = found;
    parts.push(Buffer.from(body.slice(last, found.index)));
    if (plain !== undefined) parts.push(Buffer.from(simple[plain] ?? ""));
    else if (byte !== undefined || octal !== undefined) {
      parts.push(Uint8Array.of(byte === undefined ? Number.parseInt(octal ?? "0", 8) : Number.parseInt(byte, 16)));
    } else if (short !== undefined || long !== undefined) {
      parts.push(Buffer.from(String.fromCodePoint(Number.parseInt(short ?? long ?? "0", 16))));
    } else throw new CelSyntaxError(at, "Syntax error: invalid escape sequence");
    last = (found.index ?? 0) + whole.length;
  }
  parts.push(Buffer.from(body.slice(last)));
  return Buffer.concat(parts);
}
