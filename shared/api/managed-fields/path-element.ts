/**
 * Path elements of field sets in their FieldsV1 text: `f:name` (a field), `k:{"name":"x"}` (the element of a list map),
 * `v:"x"` (an element of a set), `i:0` (an index). The text is canonical, so it is the element's identity; its order and its
 * display follow structured-merge-diff's fieldpath.
 */

import { numberToken } from "../codec/number.ts";
import { isIntegerText, isJsonObject, type JsonObject } from "../patch/json-value.ts";
import { compareBytes, goQuote } from "../selector/go-quote.ts";

export type PathElement = string;

export const fieldElement = (name: string): PathElement => `f:${name}`;
export const valueElement = (value: unknown): PathElement => `v:${canonicalText(value)}`;

/** The element of a list map by its keys; `names` sorted, `values` beside them. */
export function keyElement(names: readonly string[], values: readonly unknown[]): PathElement {
  let text = "k:{";
  for (const [index, name] of names.entries()) {
    if (index > 0) text += ",";
    text += `${JSON.stringify(name)}:${canonicalText(values[index])}`;
  }
  return `${text}}`;
}

/** JSON as upstream's encoder writes it inside a path element: HTML characters escaped, integers in full, maps sorted. */
function canonicalText(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  const digits = numberToken(value);
  if (digits !== undefined) return isIntegerText(digits) ? digits : String(Number(digits));
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (isJsonObject(value)) {
    const keys = Object.keys(value).sort(compareBytes);
    return `{${keys.map((key) => `${quoted(key)}:${canonicalText(value[key])}`).join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}

const unusual = /[<>&\u2028\u2029\b\f]/g;
function quoted(text: string): string {
  if (text.search(unusual) < 0) return JSON.stringify(text);
  return JSON.stringify(text)
    .replace(/\\b/g, (match, at: number, whole: string) => (isEscaped(whole, at) ? match : "\\u0008"))
    .replace(/\\f/g, (match, at: number, whole: string) => (isEscaped(whole, at) ? match : "\\u000c"))
    .replace(unusual, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charAt(at - 1 - backslashes) === "\\") backslashes++;
  return backslashes % 2 === 1;
}

/**
 * Reads an element that somebody else wrote into canonical text. Undefined for a type of element that is not known: those
 * are ignored. Throws SyntaxError for a malformed one.
 */
export function canonicalElement(text: string): PathElement | undefined {
  if (text.length < 2) throw new SyntaxError("key must be 2 characters long:");
  if (text.charAt(1) !== ":") throw new SyntaxError(`missing colon: ${text}`);
  const content = text.slice(2);
  switch (text.charAt(0)) {
    case "f":
      return text;
    case "v":
      return valueElement(JSON.parse(content));
    case "k": {
      const keys: unknown = JSON.parse(content);
      if (!isJsonObject(keys)) throw new SyntaxError(`not an object: ${text}`);
      const names = Object.keys(keys).sort(compareBytes);
      return keyElement(
        names,
        names.map((name) => keys[name]),
      );
    }
    case "i": {
      if (!isIntegerText(content)) throw new SyntaxError(`not an index: ${text}`);
      return `i:${Number(content)}`;
    }
    default:
      return undefined;
  }
}

/** An element as error messages show it: `.spec`, `[name="x"]`, `[="x"]`, `[0]`. */
export function displayElement(element: PathElement): string {
  const content = element.slice(2);
  switch (element.charAt(0)) {
    case "f":
      return `.${content}`;
    case "k": {
      const keys = JSON.parse(content) as JsonObject;
      const parts = Object.keys(keys).sort(compareBytes);
      return `[${parts.map((name) => `${name}=${displayValue(keys[name])}`).join(",")}]`;
    }
    case "v":
      return `[=${displayValue(JSON.parse(content))}]`;
    default:
      return `[${content}]`;
  }
}

export const displayPath = (path: readonly PathElement[]): string => path.map(displayElement).join("");

function displayValue(value: unknown): string {
  if (typeof value === "string") return goQuote(value);
  if (Array.isArray(value)) return `[${value.map(displayValue).join(",")}]`;
  if (isJsonObject(value))
    return Object.entries(value)
      .map(([name, item]) => `${name}=${displayValue(item)}`)
      .join("");
  return numberToken(value) ?? String(value);
}

const ranks = "fkvi";

/** Order of elements within a set: fields by name, then list map elements by their keys, set elements, indices. */
export function compareElements(a: PathElement, b: PathElement): number {
  if (a === b) return 0;
  const kind = a.charAt(0);
  if (kind !== b.charAt(0)) return ranks.indexOf(kind) - ranks.indexOf(b.charAt(0));
  if (kind === "f") return compareBytes(a, b);
  if (kind === "i") return Number(a.slice(2)) - Number(b.slice(2));
  const left: unknown = JSON.parse(a.slice(2));
  const right: unknown = JSON.parse(b.slice(2));
  return kind === "k" ? compareKeys(left as JsonObject, right as JsonObject) : compareValues(left, right);
}

function compareKeys(a: JsonObject, b: JsonObject): number {
  const aNames = Object.keys(a).sort(compareBytes);
  const bNames = Object.keys(b).sort(compareBytes);
  for (let i = 0; i < aNames.length && i < bNames.length; i++) {
    const aName = aNames[i] ?? "";
    const bName = bNames[i] ?? "";
    const order = compareBytes(aName, bName) || compareValues(a[aName], b[bName]);
    if (order !== 0) return order;
  }
  return aNames.length - bNames.length;
}

/** Numbers, strings, booleans, lists, maps, null: in that order across kinds, by value within one. */
function compareValues(a: unknown, b: unknown): number {
  const rank = valueRank(a);
  const order = rank - valueRank(b);
  if (order !== 0) return order;
  if (rank === 0) return Number(numberToken(a)) - Number(numberToken(b));
  if (rank === 1) return compareBytes(a as string, b as string);
  if (rank === 2) return Number(a) - Number(b);
  if (rank === 3) {
    const [left, right] = [a as unknown[], b as unknown[]];
    for (let i = 0; i < left.length && i < right.length; i++) {
      const itemOrder = compareValues(left[i], right[i]);
      if (itemOrder !== 0) return itemOrder;
    }
    return left.length - right.length;
  }
  return rank === 4 ? compareKeys(a as JsonObject, b as JsonObject) : 0;
}

function valueRank(value: unknown): number {
  if (numberToken(value) !== undefined) return 0;
  if (typeof value === "string") return 1;
  if (typeof value === "boolean") return 2;
  if (Array.isArray(value)) return 3;
  return value === null ? 5 : 4;
}
