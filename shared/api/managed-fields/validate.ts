/** Whether an applied configuration fits its type, worded as structured-merge-diff's typed/validate.go. */

import { isRawNumber, numberToken } from "../codec/number.ts";
import { isJsonObject } from "../patch/json-value.ts";
import { goPrint } from "../patch/strategic-list.ts";
import { goQuote } from "../selector/go-quote.ts";
import { itemElement, UnindexableItem } from "./list-index.ts";
import { displayElement, fieldElement, type PathElement } from "./path-element.ts";
import { type Atom, type ListAtom, type MapAtom, type Scalar, shapeOf } from "./typed-schema.ts";

interface TypeProblem {
  readonly path: string;
  readonly message: string;
}

interface TypeRules {
  /** In keyed lists, where they are a problem otherwise. */
  readonly allowDoubles?: boolean;
  /** A null is a value like any other, as CEL's is to upstream, and of no type that a field has. */
  readonly refuseNulls?: boolean;
}

/** The text of all problems; undefined when there is none. */
export function typeProblems(
  value: unknown,
  atom: Atom,
  { allowDoubles = false, refuseNulls = false }: TypeRules = {},
): string | undefined {
  const problems: TypeProblem[] = [];
  check(value, atom, "", { problems, allowDoubles, refuseNulls });
  const texts = problems.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
  if (texts.length <= 1) return texts[0];
  return ["errors:", ...texts.map((text) => `  ${text}`)].join("\n");
}

interface Run {
  readonly problems: TypeProblem[];
  readonly allowDoubles: boolean;
  readonly refuseNulls: boolean;
}

function check(value: unknown, atom: Atom, path: string, run: Run): void {
  if (value === null && run.refuseNulls) {
    run.problems.push({ path, message: nullProblem(atom) });
    return;
  }
  const shape = shapeOf(atom, value);
  if (shape === "map" && atom.map) checkMap(value, atom.map, path, run);
  else if (shape === "list" && atom.list) checkList(value, atom.list, path, run);
  else if (atom.scalar) {
    const message = scalarProblem(value, atom.scalar);
    if (message !== undefined) run.problems.push({ path, message });
  }
}

function checkMap(value: unknown, atom: MapAtom, path: string, run: Run): void {
  if (value === null) return;
  if (!isJsonObject(value)) {
    run.problems.push({ path, message: `expected map, got &{${goPrint(value)}}` });
    return;
  }
  for (const key of Object.keys(value)) {
    const below = path + displayElement(fieldElement(key));
    const field = atom.fieldAtom(key);
    if (field === undefined) {
      run.problems.push({ path: below, message: "field not declared in schema" });
      return;
    }
    check(value[key], field, below, run);
  }
}

function checkList(value: unknown, atom: ListAtom, path: string, run: Run): void {
  if (value === null) return;
  if (!Array.isArray(value)) {
    run.problems.push({ path, message: `expected list, got &{${goPrint(value)}}` });
    return;
  }
  const seen = new Set<PathElement>();
  for (const [index, item] of value.entries()) {
    let element: PathElement = `i:${index}`;
    if (!atom.isAtomic) {
      try {
        element = itemElement(atom, item);
      } catch (error) {
        if (!(error instanceof UnindexableItem)) throw error;
        run.problems.push({ path, message: `element ${index}: ${error.message}` });
        return;
      }
      if (seen.has(element) && !run.allowDoubles)
        run.problems.push({ path, message: `duplicate entries for key ${displayElement(element)}` });
      seen.add(element);
    }
    check(item, atom.element, path + displayElement(element), run);
  }
}

function scalarProblem(value: unknown, scalar: Scalar): string | undefined {
  if (value === null) return undefined;
  const isNumber = typeof value === "number" || isRawNumber(value);
  switch (scalar) {
    case "numeric":
      return isNumber ? undefined : `expected numeric (int or float), got ${goTypeName(value)}`;
    case "string":
      return typeof value === "string"
        ? undefined
        : `expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`;
    case "boolean":
      return typeof value === "boolean" ? undefined : `expected boolean, got &{${goPrint(value)}}`;
    case "untyped":
      return isNumber || typeof value === "string" || typeof value === "boolean"
        ? undefined
        : `expected any scalar, got &{${goPrint(value)}}`;
  }
}

/** Of the enumeration that CEL's null is to Go. */
function nullProblem({ map, list, scalar }: Atom): string {
  if (map) return "expected map, got &{NULL_VALUE}";
  if (list) return "expected list, got &{NULL_VALUE}";
  if (scalar === "numeric") return "expected numeric (int or float), got structpb.NullValue";
  if (scalar === "string") return "expected string, got &value.valueUnstructured{Value:0}";
  return `expected ${scalar === "boolean" ? "boolean" : "any scalar"}, got &{NULL_VALUE}`;
}

function goTypeName(value: unknown): string {
  if (Array.isArray(value)) return "[]interface {}";
  if (isJsonObject(value)) return "map[string]interface {}";
  return typeof value === "boolean" ? "bool" : typeof value;
}

/** A value as Go's `%#v` prints it. */
function goSyntax(value: unknown): string {
  if (value === null) return "interface {}(nil)";
  if (typeof value === "string") return goQuote(value);
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(", ")}}`;
  if (isJsonObject(value)) {
    const members = Object.keys(value).sort();
    return `map[string]interface {}{${members.map((key) => `${goQuote(key)}:${goSyntax(value[key])}`).join(", ")}}`;
  }
  return numberToken(value) ?? String(value);
}
