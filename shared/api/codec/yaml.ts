/**
 * YAML of request bodies, read as Go's YAML 1.1 decoder reads it on its way to JSON: `yes` and `on` are booleans, `0777`
 * is octal, timestamps stay text, keys become strings, fields are sorted by name. The syntax is the `yaml` package's;
 * what a plain scalar means is decided here, since no schema of that package reads it as Go does.
 */
import {
  type Alias,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  Scalar,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import { type DecodedDocument, type DuplicateField, fieldPath, maxDepth, setField } from "./json.ts";
import { numberFromBigInt } from "./number.ts";

/** A body that is no YAML, or YAML that JSON cannot hold. */
export class YamlError extends Error {
  override readonly name = "YamlError";
}

/** Nodes, and characters in them, that the aliases of one body may expand to. */
const maxAliasedNodes = 200_000;
const maxAliasedCharacters = 16 * 1024 * 1024;
/** Brackets that may stand open in the text; far more than nesting may be deep, as text may hold some too. */
const maxFlowDepth = 10_000;
/** Tokens of one text, of which the package keeps some 300 bytes each: an ordinary line has eight, so these are 50,000 lines. */
const maxTokens = 400_000;
/** Up to here a text cannot have so many. */
const fewTokensUpTo = maxTokens / 2;
/** What no YAML may hold (YAML 1.2, 5.1), as upstream's reader has it. */
const unprintable = /[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;
const decoder = new TextDecoder("utf-8", { ignoreBOM: false });

/** Decodes the first document of a YAML body. Throws YamlError. */
export function decodeYaml(body: string | Uint8Array): DecodedDocument {
  const text = typeof body === "string" ? body : decoder.decode(body);
  if (unprintable.test(text)) throw new YamlError("yaml: control characters are not allowed");
  const lines = new LineCounter();
  const document = parse(text, lines);
  for (const fault of document.errors) {
    if (fault.code === "MULTIPLE_DOCS") continue;
    throw new YamlError(`yaml: line ${lines.linePos(fault.pos[0]).line}: ${fault.message}`);
  }
  const reader = new YamlReader(lines);
  const value = reader.read(document.contents);
  return { value, duplicates: reader.duplicates, positionOf: (path) => reader.positions.get(path) ?? Infinity };
}

type YamlDocument = ReturnType<typeof parseDocument>;

function parse(text: string, lineCounter: LineCounter): YamlDocument {
  if (flowDepth(text) > maxFlowDepth) throw new YamlError("yaml: exceeded max depth");
  if (text.length > fewTokensUpTo && hasTooManyTokens(text))
    throw new YamlError("yaml: the document has too many values");
  try {
    // Pretty errors quote the text around each: on a long line of many faults that takes minutes.
    const options = { schema: "failsafe", uniqueKeys: false, logLevel: "silent", prettyErrors: false } as const;
    return parseDocument(text, { ...options, lineCounter });
  } catch (cause) {
    // The package recurses without a bound of its own.
    if (cause instanceof RangeError) throw new YamlError("yaml: exceeded max depth", { cause });
    throw cause;
  }
}

/** Most brackets that stand open at once, those in text included: a cheap bound before the package recurses. */
function flowDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth += bracket === "[" || bracket === "{" ? 1 : -1;
    if (depth > deepest) deepest = depth;
  }
  return deepest;
}

function hasTooManyTokens(text: string): boolean {
  let tokens = 0;
  for (const _ of new Lexer().lex(text)) {
    tokens += 1;
    if (tokens > maxTokens) return true;
  }
  return false;
}

class YamlReader {
  readonly duplicates: DuplicateField[] = [];
  /** Fields in the order of the JSON that Go would make of it: sorted by name. */
  readonly positions = new Map<string, number>();
  private readonly lines: LineCounter;
  private readonly path: (string | number)[] = [];
  private readonly anchors = new Map<string, Node>();
  private aliasDepth = 0;
  private aliasedNodes = 0;
  private aliasedCharacters = 0;

  constructor(lines: LineCounter) {
    this.lines = lines;
  }

  read(node: unknown): unknown {
    if (this.path.length > maxDepth) throw new YamlError("yaml: exceeded max depth");
    if (isAlias(node)) return this.readAlias(node);
    if (this.aliasDepth > 0) {
      this.aliasedNodes += 1;
      if (isScalar(node)) this.aliasedCharacters += String(node.value ?? "").length;
      if (this.aliasedNodes > maxAliasedNodes || this.aliasedCharacters > maxAliasedCharacters)
        throw new YamlError("yaml: document contains excessive aliasing");
    } else if (isNode(node) && !isAlias(node) && node.anchor) {
      this.anchors.set(node.anchor, node);
    }
    if (isMap(node)) return this.readMap(node);
    if (isSeq(node)) return this.readSequence(node);
    if (isScalar(node)) return jsonValue(resolveScalar(node));
    return null;
  }

  private readAlias(alias: Alias): unknown {
    const target = this.resolve(alias);
    if (this.aliasDepth > maxDepth) throw new YamlError(`yaml: anchor '${alias.source}' value contains itself`);
    this.aliasDepth++;
    const value = this.read(target);
    this.aliasDepth--;
    return value;
  }

  private resolve(alias: Alias): Node {
    const target = this.anchors.get(alias.source);
    if (!target) throw new YamlError(`yaml: unknown anchor '${alias.source}' referenced`);
    return target;
  }

  private readSequence(sequence: YAMLSeq): unknown[] {
    this.path.push(0);
    const items = sequence.items.map((item, index) => {
      this.path[this.path.length - 1] = index;
      return this.read(item);
    });
    this.path.pop();
    return items;
  }

  private readMap(map: YAMLMap): Record<string, unknown> {
    const entries = new Map<string, unknown>();
    this.path.push("");
    for (const pair of map.items) if (!isMergeKey(pair)) this.readPair(pair, entries);
    this.path.pop();
    for (const pair of map.items) if (isMergeKey(pair)) this.merge(pair.value, entries);
    const object: Record<string, unknown> = {};
    for (const key of [...entries.keys()].sort()) {
      this.positions.set(fieldPath([...this.path, key]), this.positions.size);
      setField(object, key, entries.get(key));
    }
    return object;
  }

  private readPair(pair: Pair, entries: Map<string, unknown>): void {
    const key = keyText(isAlias(pair.key) ? this.resolve(pair.key) : pair.key);
    this.path[this.path.length - 1] = key;
    if (entries.has(key)) this.reportDuplicate(pair, key);
    entries.set(key, this.read(pair.value));
  }

  /** A merge key gives what the map does not have itself; of several maps the first wins. */
  private merge(source: unknown, entries: Map<string, unknown>): void {
    const node = isAlias(source) ? this.resolve(source) : source;
    if (isSeq(node)) {
      for (const item of node.items) this.merge(item, entries);
      return;
    }
    if (!isMap(node)) throw new YamlError("yaml: map merge requires map or sequence of maps as the value");
    for (const [key, value] of Object.entries(this.readMap(node))) if (!entries.has(key)) entries.set(key, value);
  }

  private reportDuplicate(pair: Pair, key: string): void {
    if (this.duplicates.length >= 100) return;
    const range = rangeOf(pair.value) ?? rangeOf(pair.key);
    const line = range === undefined ? 0 : this.lines.linePos(range).line;
    this.duplicates.push({
      path: fieldPath(this.path),
      message: `line ${line}: key ${JSON.stringify(key)} already set in map`,
      position: -1,
    });
  }
}

function rangeOf(node: unknown): number | undefined {
  const range = typeof node === "object" && node !== null && "range" in node ? node.range : undefined;
  return Array.isArray(range) && typeof range[0] === "number" ? range[0] : undefined;
}

function isMergeKey({ key }: Pair): boolean {
  return isScalar(key) && key.value === "<<" && key.type === Scalar.PLAIN;
}

function keyText(key: unknown): string {
  if (!isScalar(key)) throw new YamlError("yaml: invalid map key");
  const value = resolveScalar(key);
  if (value === null) throw new YamlError("unsupported map key of type: %!s(<nil>), key: <nil>");
  if (typeof value === "number" && !Number.isFinite(value)) {
    return Number.isNaN(value) ? ".nan" : value > 0 ? ".inf" : "-.inf";
  }
  return String(value);
}

function jsonValue(value: string | number | bigint | boolean | null): unknown {
  if (typeof value === "bigint") return numberFromBigInt(value);
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new YamlError(`json: unsupported value: ${Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf"}`);
  }
  return value;
}

const words = new Map<string, boolean | null | number>([
  ...["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"].map((word) => [word, true] as const),
  ...["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"].map((word) => [word, false] as const),
  ...["", "~", "null", "Null", "NULL"].map((word) => [word, null] as const),
  ...[".nan", ".NaN", ".NAN"].map((word) => [word, Number.NaN] as const),
  ...[".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"].map((word) => [word, Number.POSITIVE_INFINITY] as const),
  ...["-.inf", "-.Inf", "-.INF"].map((word) => [word, Number.NEGATIVE_INFINITY] as const),
]);

const floatPattern = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const integerPattern = /^([-+]?)(?:(0[xX])([0-9a-fA-F]+)|(0[oO]?)([0-7]+)|(0[bB])([01]+)|([0-9]+))$/;
const typedTags = new Set(["null", "bool", "int", "float"].map((name) => `tag:yaml.org,2002:${name}`));

function resolveScalar(node: Scalar): string | number | bigint | boolean | null {
  const text = String(node.value ?? "");
  const tagged = node.tag !== undefined && typedTags.has(node.tag);
  if (!tagged && (node.type !== Scalar.PLAIN || node.tag !== undefined)) {
    // An empty value without a node of its own is null; a quoted or tagged one is text.
    return node.value === null && node.type !== Scalar.QUOTE_DOUBLE && node.type !== Scalar.QUOTE_SINGLE ? null : text;
  }
  const word = words.get(text);
  if (word !== undefined) return word;
  if (!/^[-+.0-9]/.test(text)) return text;
  const plain = text.replaceAll("_", "");
  const integer = parseInteger(plain);
  if (integer !== undefined) return node.tag?.endsWith(":float") ? Number(integer) : integer;
  return floatPattern.test(plain) ? Number(plain) : text;
}

/** An integer with Go's prefixes; undefined beyond 64 bits, which Go reads as a float. */
function parseInteger(text: string): bigint | undefined {
  const match = integerPattern.exec(text);
  if (!match) return undefined;
  const [, sign, hexPrefix, hex, , octal, binaryPrefix, binary, decimal] = match;
  let magnitude: bigint;
  if (hexPrefix) magnitude = BigInt(`0x${hex}`);
  else if (binaryPrefix) magnitude = BigInt(`0b${binary}`);
  else if (octal !== undefined) magnitude = BigInt(`0o${octal}`);
  else magnitude = BigInt(decimal ?? "0");
  if (decimal !== undefined && decimal.length > 1 && decimal.startsWith("0")) return undefined;
  const value = sign === "-" ? -magnitude : magnitude;
  return value >= -(2n ** 63n) && value < 2n ** 64n ? value : undefined;
}
