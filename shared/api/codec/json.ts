/**
 * JSON of request bodies, without loss: numbers keep their digits (see number.ts), keys such as `__proto__` are keys, and
 * fields given twice are reported. Errors and reports are worded as Go's decoder words them, since clients match them.
 */
import { isRawNumber, numberFromToken, type RawNumber } from "./number.ts";

/** A body that is no JSON, or nested too deeply. */
export class JsonSyntaxError extends Error {
  override readonly name = "JsonSyntaxError";
}

/** A decoded body. The last of fields given twice wins, as in Go where a value is free-form; see `earlier`. */
export interface DecodedDocument {
  readonly value: unknown;
  /** By an object of `value` that came for a field anew: the one that was there before. Go fills the same struct or map twice. */
  readonly earlier?: ReadonlyMap<object, object> | undefined;
  /** Fields given twice, in document order, each once, at most 100. */
  readonly duplicates: readonly DuplicateField[];
  /** What is wrong with how the document came about, told before what is wrong with it. */
  readonly ahead?: readonly string[];
  /** Where a field begins, to order reports of different kinds; only meant to be compared. Infinity when not found. */
  positionOf(path: string): number;
}

export interface DuplicateField {
  /** `spec.containers[0].name` */
  readonly path: string;
  /** `duplicate field "spec.replicas"`, or YAML's `line 5: key "name" already set in map`. */
  readonly message: string;
  readonly position: number;
}

/** Deepest nesting that is read; upstream's limit is 10,000, but nothing real comes near either. */
export const maxDepth = 512;
const maxReports = 100;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Decodes a body. Throws JsonSyntaxError. */
export function decodeJson(body: string | Uint8Array): DecodedDocument {
  const text = typeof body === "string" ? body : decoder.decode(body);
  return decodeOrdinary(text) ?? decodeExactly(text);
}

/** Decodes a body that is JSON without a doubt: an object with nothing lost or there twice. undefined: look closer. */
export function decodePlainJson(body: Uint8Array): DecodedDocument | undefined {
  return body[0] === openingBrace ? decodeOrdinary(decoder.decode(body)) : undefined;
}
const openingBrace = 0x7b;

/** Encodes without loss what decodeJson gave. */
export function encodeJson(value: unknown): string {
  return JSON.stringify(value);
}

/**
 * The fast path: when the engine's parser and writer give back the very text, then nothing was lost, no key was there
 * twice, and there is nothing to report. That holds for what most clients send.
 */
function decodeOrdinary(text: string): DecodedDocument | undefined {
  if (text.includes("\\ud") || text.includes("\\uD")) return undefined;
  const trimmed = text.endsWith("\n") ? text.slice(0, -1) : text;
  let value: unknown;
  try {
    value = JSON.parse(trimmed);
  } catch {
    // The exact parser finds the same fault and words it.
    return undefined;
  }
  if (!isShallow(value, maxDepth) || JSON.stringify(value) !== trimmed) return undefined;
  return { value, duplicates: [], positionOf: positionsIn(text) };
}

function decodeExactly(text: string): DecodedDocument {
  const parser = new JsonParser(text);
  const value = parser.parseDocument();
  const { duplicates, earlier } = parser;
  return { value, duplicates, earlier: earlier.size > 0 ? earlier : undefined, positionOf: positionsIn(text) };
}

/** Finds positions by reading the text once more, when they are first asked for: only reports need them. */
function positionsIn(text: string): (path: string) => number {
  let positions: Map<string, number> | undefined;
  return (path) => {
    if (!positions) {
      positions = new Map();
      new JsonParser(text, positions).parseDocument();
    }
    return positions.get(path) ?? Number.POSITIVE_INFINITY;
  };
}

/** Whether a value is nested no deeper. Makes nothing: a body may have a million values. */
export function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (depth === 0) return false;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) if (!isShallow(value[index], depth - 1)) return false;
  } else {
    for (const key in value) if (!isShallow((value as Record<string, unknown>)[key], depth - 1)) return false;
  }
  return true;
}

/** Sets a field even when it is called `__proto__`. */
export function setField(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    object[key] = value;
  }
}

const quote = 0x22;
const backslash = 0x5c;
const escapes = new Map([
  [0x22, '"'],
  [backslash, "\\"],
  [0x2f, "/"],
  [0x62, "\b"],
  [0x66, "\f"],
  [0x6e, "\n"],
  [0x72, "\r"],
  [0x74, "\t"],
]);

class JsonParser {
  readonly duplicates: DuplicateField[] = [];
  readonly earlier = new Map<object, object>();
  private readonly text: string;
  private readonly positions: Map<string, number> | undefined;
  private readonly path: (string | number)[] = [];
  private at = 0;

  constructor(text: string, positions?: Map<string, number>) {
    this.text = text;
    this.positions = positions;
  }

  parseDocument(): unknown {
    const value = this.parseValue();
    this.skipSpace();
    if (this.at < this.text.length) this.fail("after top-level value");
    return value;
  }

  private parseValue(): unknown {
    this.skipSpace();
    const character = this.text[this.at];
    switch (character) {
      case "{":
        return this.parseObject();
      case "[":
        return this.parseArray();
      case '"':
        return this.parseString();
      case "t":
        return this.parseLiteral("true", true);
      case "f":
        return this.parseLiteral("false", false);
      case "n":
        return this.parseLiteral("null", null);
      default:
        if (character === "-" || isDigit(character)) return this.parseNumber();
        return this.fail("looking for beginning of value");
    }
  }

  private parseObject(): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    this.at++;
    this.skipSpace();
    if (this.text[this.at] === "}") {
      this.at++;
      return object;
    }
    this.enter("{");
    for (;;) {
      this.skipSpace();
      if (this.text[this.at] !== '"') this.fail("looking for beginning of object key string");
      const position = this.at;
      const key = this.parseString();
      this.skipSpace();
      if (this.text[this.at] !== ":") this.fail("after object key");
      this.at++;
      this.path[this.path.length - 1] = key;
      const before = Object.hasOwn(object, key) ? object[key] : undefined;
      if (before !== undefined) this.reportDuplicate(position);
      else this.positions?.set(this.pathText(), position);
      const value = this.parseValue();
      if (isPlainObject(before) && isPlainObject(value)) this.earlier.set(value, before);
      setField(object, key, value);
      this.skipSpace();
      const next = this.text[this.at];
      if (next !== "," && next !== "}") this.fail("after object key:value pair");
      this.at++;
      if (next === "}") break;
    }
    this.path.pop();
    return object;
  }

  private parseArray(): unknown[] {
    const array: unknown[] = [];
    this.at++;
    this.skipSpace();
    if (this.text[this.at] === "]") {
      this.at++;
      return array;
    }
    this.enter("[");
    for (;;) {
      this.path[this.path.length - 1] = array.length;
      array.push(this.parseValue());
      this.skipSpace();
      const next = this.text[this.at];
      if (next !== "," && next !== "]") this.fail("after array element");
      this.at++;
      if (next === "]") break;
    }
    this.path.pop();
    return array;
  }

  private enter(opening: "[" | "{"): void {
    if (this.path.length >= maxDepth) throw new JsonSyntaxError(`invalid character '${opening}' exceeded max depth`);
    this.path.push("");
  }

  private parseString(): string {
    const start = ++this.at;
    let result = "";
    let copied = start;
    let surrogates = false;
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code === quote) break;
      if (code === backslash) {
        result += this.text.slice(copied, this.at);
        const unit = this.parseEscape();
        surrogates ||= unit >= "\ud800" && unit <= "\udfff";
        result += unit;
        copied = this.at;
      } else if (code >= 0x20) {
        this.at++;
      } else {
        this.fail("in string literal");
      }
    }
    result += this.text.slice(copied, this.at);
    this.at++;
    return surrogates ? result.toWellFormed() : result;
  }

  private parseEscape(): string {
    this.at++;
    const code = this.text.charCodeAt(this.at);
    if (code === 0x75) {
      for (let digit = 1; digit <= 4; digit++) {
        this.at++;
        if (!/^[0-9a-fA-F]$/.test(this.text[this.at] ?? "")) this.fail("in \\u hexadecimal character escape");
      }
      this.at++;
      return String.fromCharCode(Number.parseInt(this.text.slice(this.at - 4, this.at), 16));
    }
    const escaped = escapes.get(code);
    if (escaped === undefined) return this.fail("in string escape code");
    this.at++;
    return escaped;
  }

  private parseNumber(): number | RawNumber {
    const start = this.at;
    if (this.text[this.at] === "-") this.at++;
    if (this.text[this.at] === "0") this.at++;
    else this.parseDigits("in numeric literal");
    if (this.text[this.at] === ".") {
      this.at++;
      this.parseDigits("after decimal point in numeric literal");
    }
    if (this.text[this.at] === "e" || this.text[this.at] === "E") {
      this.at++;
      if (this.text[this.at] === "+" || this.text[this.at] === "-") this.at++;
      this.parseDigits("in exponent of numeric literal");
    }
    return numberFromToken(this.text.slice(start, this.at));
  }

  private parseDigits(context: string): void {
    if (!isDigit(this.text[this.at])) this.fail(context);
    while (isDigit(this.text[this.at])) this.at++;
  }

  private parseLiteral<T>(word: string, value: T): T {
    for (const expected of word) {
      if (this.text[this.at] !== expected) this.fail(`in literal ${word} (expecting '${expected}')`);
      this.at++;
    }
    return value;
  }

  private skipSpace(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at++;
    }
  }

  private reportDuplicate(position: number): void {
    const path = this.pathText();
    if (this.duplicates.length >= maxReports || this.duplicates.some((known) => known.path === path)) return;
    this.duplicates.push({ path, message: `duplicate field ${JSON.stringify(path)}`, position });
  }

  private pathText(): string {
    return fieldPath(this.path);
  }

  /** Fails at the present character, as Go words it. */
  private fail(context: string): never {
    if (this.at >= this.text.length) throw new JsonSyntaxError("unexpected end of JSON input");
    throw new JsonSyntaxError(`invalid character ${quoteCharacter(this.text, this.at)} ${context}`);
  }
}

/** `spec.containers[0].name` from its steps. */
export function fieldPath(steps: readonly (string | number)[]): string {
  let path = "";
  for (const step of steps) {
    if (typeof step === "number") path += `[${step}]`;
    else path += path === "" ? step : `.${step}`;
  }
  return path;
}

const isPlainObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !isRawNumber(value);

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= "0" && character <= "9";
}

/** Go looks at bytes: of a character beyond ASCII it names the first byte. */
function quoteCharacter(text: string, at: number): string {
  const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
  if (character === "'") return "'\\''";
  if (character === '"') return "'\"'";
  const byte = new TextEncoder().encode(character)[0] ?? 0;
  if (byte >= 0x80) return `'${byte < 0xa0 ? `\\u00${byte.toString(16)}` : String.fromCharCode(byte)}'`;
  if (byte === 0x7f) return "'\\x7f'";
  if (byte >= 0x20) return character === "\\" ? "'\\\\'" : `'${character}'`;
  const named = new Map([
    [7, "\\a"],
    [8, "\\b"],
    [9, "\\t"],
    [10, "\\n"],
    [11, "\\v"],
    [12, "\\f"],
    [13, "\\r"],
  ]).get(byte);
  return `'${named ?? `\\x${byte.toString(16).padStart(2, "0")}`}'`;
}
