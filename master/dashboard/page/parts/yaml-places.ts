/** Where in a YAML text something is. */
import { isMap, isSeq, LineCounter, type Node, parseDocument } from "yaml";

export interface YamlFault {
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/** The first fault of the text itself. */
export function faultOf(text: string): YamlFault | undefined {
  const [error] = parseDocument(text).errors;
  const at = error?.linePos?.[0];
  return error && { line: at?.line ?? 1, message: error.message.split(/ at line \d|\n/)[0] ?? error.message };
}

/** The line of a field that the API server names, `spec.containers[0].image` or `metadata.labels[a.b/c]`, from 1: where
 *  it is not in the text, that of what should hold it. */
export function lineOf(text: string, field: string): number | undefined {
  const lines = new LineCounter();
  let node: unknown = parseDocument(text, { lineCounter: lines }).contents;
  let found: number | undefined;
  for (const step of stepsOf(field)) {
    let at: Node | undefined;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String((key as { value?: unknown } | null)?.value) === step);
      at = pair?.key as Node | undefined;
      node = pair?.value;
    } else if (isSeq(node)) {
      at = node.items[Number(step)] as Node | undefined;
      node = at;
    }
    if (!at?.range) return found;
    found = lines.linePos(at.range[0]).line;
  }
  return found;
}

function stepsOf(field: string): string[] {
  return [...field.matchAll(/\[([^\]]*)\]|([^.[\]]+)/g)].map(([, inBrackets, plain]) => inBrackets ?? plain ?? "");
}

/** Fields that a message of strict validation names: `strict decoding error: unknown field "spec.a"`. */
export function fieldsNamed(message: string): string[] {
  return [...message.matchAll(/(?:unknown|duplicate) field "([^"]+)"/g)].flatMap(([, field]) => field ?? []);
}
