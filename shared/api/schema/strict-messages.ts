/** What is said of fields that are unknown or given twice, under the field validation of a request. */
import type { DecodedDocument } from "../codec/json.ts";
import type { NormalizedObject } from "./normalize-object.ts";

export interface StrictMessages {
  /** For fieldValidation=Strict: `strict decoding error: unknown field "spec.foo", duplicate field "spec.bar"`. */
  readonly error: string;
  /** For fieldValidation=Warn: one Warning header each. */
  readonly warnings: readonly string[];
}

/**
 * Words unknown and duplicate fields as upstream does; undefined when there are none. For typed objects reports come in
 * document order and a duplicate below an unknown field does not count; for custom resources duplicates come first, and unknown
 * fields as they are found: in the object's metadata, by the schema, in the metadata of objects inside it, sorted in each.
 */
export function strictMessages(
  document: DecodedDocument,
  { unknown, opaque, pruned }: Pick<NormalizedObject, "unknown" | "opaque"> & Partial<Pick<NormalizedObject, "pruned">>,
  kind: "typed" | "custom",
): StrictMessages | undefined {
  const known = (path: string) =>
    !unknown.some((field) => isWithin(path, field)) && !opaque.some((field) => path !== field && isWithin(path, field));
  const isYaml = document.duplicates.some(({ position }) => position < 0);
  const duplicates =
    kind === "typed" && !isYaml ? document.duplicates.filter(({ path }) => known(path)) : document.duplicates;
  const { ahead = [] } = document;
  if (duplicates.length === 0 && unknown.length === 0 && ahead.length === 0) return undefined;
  const unknownPaths = kind === "custom" ? asFound(unknown, pruned) : unknown;
  const unknownMessages = unknownPaths.map((path) => `unknown field ${JSON.stringify(path)}`);
  const repeated = duplicates.map(({ message }) => message);
  if (isYaml) {
    const whole = `yaml: unmarshal errors:\n  ${repeated.join("\n  ")}`;
    return { error: strictError([whole, ...unknownMessages]), warnings: [...repeated, ...unknownMessages] };
  }
  const own =
    kind === "custom" || duplicates.length === 0 || unknown.length === 0
      ? [...repeated, ...unknownMessages]
      : inDocumentOrder(document, duplicates, unknown);
  const messages = [...ahead, ...own];
  return { error: strictError(messages), warnings: messages };
}

function asFound(unknown: readonly string[], pruned: ReadonlySet<string> | undefined): string[] {
  const finder = (path: string): number => {
    if (pruned?.has(path)) return 1;
    return isWithin(path, "metadata") ? 0 : 2;
  };
  return unknown.toSorted().sort((a, b) => finder(a) - finder(b));
}

function inDocumentOrder(
  document: DecodedDocument,
  duplicates: DecodedDocument["duplicates"],
  unknown: readonly string[],
): string[] {
  const reports = [
    ...duplicates.map(({ message, position }) => ({ message, position })),
    ...unknown.map((path) => ({
      message: `unknown field ${JSON.stringify(path)}`,
      position: document.positionOf(path),
    })),
  ];
  return reports.sort((a, b) => a.position - b.position).map(({ message }) => message);
}

function strictError(messages: readonly string[]): string {
  return `strict decoding error: ${messages.join(", ")}`;
}

function isWithin(path: string, field: string): boolean {
  return path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`);
}
