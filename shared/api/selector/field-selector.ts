/** Field selectors (`status.phase=Running,spec.nodeName!=a`). Semantics and wording: apimachinery pkg/fields. */
import { badRequest } from "../errors.ts";
import { compareBytes } from "./go-quote.ts";

export interface FieldRequirement {
  readonly field: string;
  readonly operator: "=" | "!=";
  readonly value: string;
}

/** A field's value as text; an unset field is "". */
export type FieldReader = (field: string) => string;

/** A compiled field selector: all requirements must hold. Immutable. */
export class FieldSelector {
  readonly requirements: readonly FieldRequirement[];

  constructor(requirements: readonly FieldRequirement[]) {
    this.requirements = requirements;
  }

  static readonly everything = new FieldSelector([]);

  matches(read: FieldReader): boolean {
    for (const { field, operator, value } of this.requirements) {
      if ((read(field) === value) !== (operator === "=")) return false;
    }
    return true;
  }

  get isEmpty(): boolean {
    return this.requirements.length === 0;
  }

  /** The one value that a matching object must have in this field, if the selector pins one: for use of an index. */
  exactValue(field: string): string | undefined {
    return this.requirements.find((candidate) => candidate.field === field && candidate.operator === "=")?.value;
  }

  toString(): string {
    return this.requirements
      .map(({ field, operator, value }) => `${field}${operator}${escapeFieldValue(value)}`)
      .join(",");
  }
}

/** The selector of a query string; throws BadRequest with upstream's wording. Whether a field may be asked for is the resource's to say. */
export function parseFieldSelector(text: string): FieldSelector {
  const requirements: FieldRequirement[] = [];
  for (const term of splitTerms(text).sort(compareBytes)) {
    if (term === "") continue;
    const at = term.search(/!=|=/);
    if (at < 0) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const operator = term.startsWith("!=", at) ? "!=" : term.startsWith("==", at) ? "==" : "=";
    const value = unescapeFieldValue(term.slice(at + operator.length));
    const field = term.slice(0, at);
    if (field === "" && value === "") continue;
    requirements.push({ field, operator: operator === "!=" ? "!=" : "=", value });
  }
  return requirements.length === 0 ? FieldSelector.everything : new FieldSelector(requirements);
}

/** Splits at commas that no backslash precedes; the backslashes stay. */
function splitTerms(text: string): string[] {
  if (text === "") return [];
  const terms: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i);
    if (character === "\\") i++;
    else if (character === ",") {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}

/** Escapes a literal for use as a value in a field selector. */
export function escapeFieldValue(value: string): string {
  return value.replace(/[\\,=]/g, (character) => `\\${character}`);
}

function unescapeFieldValue(text: string): string {
  let value = "";
  const characters = [...text];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] ?? "";
    if (character === "\\") {
      const escaped = characters[++i];
      if (escaped !== "\\" && escaped !== "," && escaped !== "=") {
        throw badRequest(`invalid field selector: invalid escape sequence: \\${escaped ?? ""}`);
      }
      value += escaped;
    } else if (character === "," || character === "=") {
      throw badRequest(`invalid field selector: unescaped character in value: ${character.charCodeAt(0)}`);
    } else {
      value += character;
    }
  }
  return value;
}
