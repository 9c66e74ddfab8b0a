/** Whether an applied configuration fits its type, worded as structured-merge-diff's typed/validate.go. */

import { isRawNumber, numberToken } from "../codec/number.ts";
import { isJsonObject } from "../patch/json-value.ts";
import { goPrint } from "../patch/strategic-list.ts";
import { goQuote } from "../selector/go-quote.ts";
import { itemElement, UnindexableItem } from "./list-index.ts";
import { displayElement, fieldElement, type PathElement } from "./path-element.ts";
import { type Atom, type ListAtom, type MapAtom, type Scalar, shapeOf } from "./typed-schema.ts";

interface TypeProblem {
  path: string;
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
  check(value, atom, { problems, allowDoubles, refuseNulls });
  const texts = problems.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
  if (texts.length <= 1) return texts[0];
  return ["errors:", ...texts.map((text) => `  ${text}`)].join("\n");
}

interface Run {
  readonly problems: TypeProblem[];
  readonly allowDoubles: boolean;
  readonly refuseNulls: boolean;
}

function check(value: unknown, atom: Atom, run: Run): void {
  if (value === null && run.refuseNulls) {
    tell(run, nullProblem(atom));
    return;
  }
  const shape = shapeOf(atom, value);
  if (shape === "map" && atom.map) checkMap(value, atom.map, run);
  else if (shape === "list" && atom.list) checkList(value, atom.list, run);
  else if (atom.scalar) {
    const message = scalarProblem(value, atom.scalar);
    if (message !== undefined) tell(run, message);
  }
}

/** Of the value that is looked at. Its path is put before by those that it is in: most values are faultless, and need none. */
const tell = ({ problems }: Run, message: string): void => void problems.push({ path: "", message });

/** The problems from `first` on are below this element. */
function placeBelow({ problems }: Run, first: number, element: PathElement): void {
  for (const problem of problems.slice(first)) problem.path = displayElement(element) + problem.path;
}

function checkMap(value: unknown, atom: MapAtom, run: Run): void {
  if (value === null) return;
  if (!isJsonObject(value)) {
    tell(run, `expected map, got &{${goPrint(value)}}`);
    return;
  }
  for (const key in value) {
    const first = run.problems.length;
    const field = atom.fieldAtom(key);
    if (field === undefined) tell(run, "field not declared in schema");
    else check(value[key], field, run);
    if (run.problems.length > first) placeBelow(run, first, fieldElement(key));
    if (field === undefined) return;
  }
}

function checkList(value: unknown, atom: ListAtom, run: Run): void {
  if (value === null) return;
  if (!Array.isArray(value)) {
    tell(run, `expected list, got &{${goPrint(value)}}`);
    return;
  }
  const elementOf = atom.isAtomic ? undefined : elementsOf(value, atom, run);
  for (let index = 0; index < value.length; index += 1) {
    const element = elementOf?.(index);
    if (elementOf && element === undefined) return;
    const first = run.problems.length;
    check(value[index], atom.element, run);
    if (run.problems.length > first) placeBelow(run, first, element ?? `i:${index}`);
  }
}

/** The elements of a list's items, one after the other; undefined for one that has none, which is told, as are doubles. */
function elementsOf(list: readonly unknown[], atom: ListAtom, run: Run): (index: number) => PathElement | undefined {
  const seen = new Set<PathElement>();
  return (index) => {
    try {
      const element = itemElement(atom, list[index]);
      if (seen.has(element) && !run.allowDoubles) tell(run, `duplicate entries for key ${displayElement(element)}`);
      seen.add(element);
      return element;
    } catch (error) {
      if (!(error instanceof UnindexableItem)) throw error;
      tell(run, `element ${index}: ${error.message}`);
      return undefined;
    }
  };
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
