/** Functions by name, each with its overloads: how they are declared, and how a call finds its own. */
import { optionalTypeName, parseType, readType, type Type } from "./types.ts";
import {
  CelError,
  Duration,
  isOpaque,
  List,
  MapValue,
  Optional,
  Timestamp,
  TypeValue,
  Uint,
  type Value,
} from "./values.ts";

export interface Overload {
  readonly name: string;
  readonly isMember: boolean;
  /** The target first, where there is one. */
  readonly parameters: readonly Type[];
  readonly result: Type;
  readonly call: (...args: Value[]) => Value;
}

export type Implementation = (...args: never[]) => Value;

/**
 * Reads `size(list(A)) -> int`, or for a member `list(A).size() -> int`.
 */
export function overload(signature: string, call: Implementation): Overload {
  const [declared = "", result = "dyn"] = signature.split("->");
  const { name, isMember, parameters } = readSignature(declared.trim());
  return { name, isMember, parameters, result: parseType(result), call: call as Overload["call"] };
}

function readSignature(text: string): Pick<Overload, "name" | "isMember" | "parameters"> {
  const open = argumentsStart(text);
  const head = text.slice(0, open);
  const dot = lastDot(head);
  const parameters: Type[] = [];
  if (dot >= 0) parameters.push(parseType(head.slice(0, dot)));
  let rest = text.slice(open + 1, -1).trim();
  while (rest !== "") {
    const [type, after] = readType(rest);
    parameters.push(type);
    rest = after.trim().replace(/^,\s*/, "");
  }
  return { name: head.slice(dot + 1), isMember: dot >= 0, parameters };
}

/** The parenthesis of the arguments: the one that the last one closes. */
function argumentsStart(text: string): number {
  let depth = 0;
  for (let at = text.length - 1; at >= 0; at -= 1) {
    if (text[at] === ")") depth += 1;
    if (text[at] === "(") depth -= 1;
    if (depth === 0) return at;
  }
  throw new RangeError(`no signature: ${text}`);
}

/** Members are written `type.name`, and types may have dots themselves; a name alone is global, also a dotted one after `::`. */
function lastDot(head: string): number {
  if (head.startsWith("::")) return -1;
  return head.lastIndexOf(".");
}

/** A global function in a namespace (`optional.of`) is declared by its whole name. */
export function namespaced(name: string, signature: string, call: Implementation): Overload {
  const made = overload(`f${signature}`, call);
  return { ...made, name, isMember: false };
}

export class FunctionTable {
  readonly #byName = new Map<string, Overload[]>();

  constructor(...libraries: readonly (readonly Overload[])[]) {
    for (const library of libraries) {
      for (const each of library) {
        const key = keyOf(each.name, each.isMember);
        this.#byName.set(key, [...(this.#byName.get(key) ?? []), each]);
      }
    }
  }

  find(name: string, isMember: boolean): readonly Overload[] {
    return this.#byName.get(keyOf(name, isMember)) ?? [];
  }

  /** The overload that takes these values. Throws CelError. */
  select(name: string, isMember: boolean, args: readonly Value[]): Overload {
    for (const each of this.find(name, isMember)) {
      if (each.parameters.length !== args.length) continue;
      if (each.parameters.every((type, index) => fits(args[index] as Value, type))) return each;
    }
    throw new CelError("no such overload");
  }
}

const keyOf = (name: string, isMember: boolean): string => (isMember ? `.${name}` : name);

/** Whether a value is of a type, as far as overloads differ. */
export function fits(value: Value, type: Type): boolean {
  switch (type.kind) {
    case "dyn":
    case "parameter":
      return true;
    case "bool":
      return typeof value === "boolean";
    case "int":
      return typeof value === "bigint";
    case "uint":
      return value instanceof Uint;
    case "double":
      return typeof value === "number";
    case "string":
      return typeof value === "string";
    case "bytes":
      return value instanceof Uint8Array;
    case "null":
      return value === null;
    case "timestamp":
      return value instanceof Timestamp;
    case "duration":
      return value instanceof Duration;
    case "list":
      return value instanceof List;
    case "map":
      return value instanceof MapValue;
    case "object":
      return value instanceof MapValue;
    case "type":
      return value instanceof TypeValue;
    case "opaque":
      if (type.name === optionalTypeName) return value instanceof Optional;
      return value !== null && isOpaque(value) && value.opaqueType === type.name;
  }
}
