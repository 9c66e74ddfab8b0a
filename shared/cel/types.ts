/** Types of CEL, as far as they are known before an expression runs. */

export type Type =
  | {
      readonly kind:
        | "dyn"
        | "bool"
        | "int"
        | "uint"
        | "double"
        | "string"
        | "bytes"
        | "null"
        | "timestamp"
        | "duration";
    }
  | {
      readonly kind: "list";
      readonly element: Type;
      /** Kubernetes' sets and maps: the order of elements means nothing; elements are one where these fields are, or the
       *  whole where there are none. Absent: an ordinary list. */
      readonly keys?: readonly string[] | undefined;
    }
  | { readonly kind: "map"; readonly key: Type; readonly value: Type }
  /** Declared fields only; any other is an error. */
  | {
      readonly kind: "object";
      readonly name: string;
      readonly fields: ReadonlyMap<string, Type>;
      /** The field's name in JSON, where that is no identifier. */
      readonly jsonNames?: ReadonlyMap<string, string> | undefined;
    }
  /** `optional_type(T)`, or something of a library that only its own functions know. */
  | { readonly kind: "opaque"; readonly name: string; readonly parameters: readonly Type[] }
  | { readonly kind: "type"; readonly of: Type }
  | { readonly kind: "parameter"; readonly name: string };

const simple = <
  K extends "dyn" | "bool" | "int" | "uint" | "double" | "string" | "bytes" | "null" | "timestamp" | "duration",
>(
  kind: K,
): Type => ({ kind });

export const dyn = simple("dyn");
/** Of the elements of a list or map that has none: it agrees with any type, and gives way to one that is known. */
export const undetermined = simple("dyn");
export const bool = simple("bool");
export const int = simple("int");
export const uint = simple("uint");
export const double = simple("double");
export const string = simple("string");
export const bytes = simple("bytes");
export const nullType = simple("null");
export const timestamp = simple("timestamp");
export const duration = simple("duration");
export const listOf = (element: Type): Type => ({ kind: "list", element });
export const mapOf = (key: Type, value: Type): Type => ({ kind: "map", key, value });
export const optionalTypeName = "optional_type";
export const optionalOf = (value: Type): Type => ({ kind: "opaque", name: optionalTypeName, parameters: [value] });
export const opaque = (name: string): Type => ({ kind: "opaque", name, parameters: [] });
export const objectOf = (name: string, fields: Readonly<Record<string, Type>>): Type => ({
  kind: "object",
  name,
  fields: new Map(Object.entries(fields)),
});

export const isDyn = (type: Type): boolean => type.kind === "dyn";
export const isOptional = (type: Type): type is Extract<Type, { kind: "opaque" }> =>
  type.kind === "opaque" && type.name === optionalTypeName;

/** Whether nothing is known of the type, or of the elements of a list or map, since there are none. */
export function isUndetermined(type: Type): boolean {
  if (type.kind === "list") return isUndetermined(type.element);
  return type === undetermined || (type.kind === "map" && isUndetermined(type.value));
}

type OtherNames = Readonly<Record<"timestamp" | "duration" | "null", string>>;
const runtimeNames: OtherNames = {
  timestamp: "google.protobuf.Timestamp",
  duration: "google.protobuf.Duration",
  null: "null_type",
};
const checkedNames: OtherNames = { timestamp: "timestamp", duration: "duration", null: "null" };

/** As cel-go prints a type of values. */
export const typeName = (type: Type): string => printed(type, runtimeNames);

/** As the faults print it that cel-go's checker finds. */
export const checkedTypeName = (type: Type): string => printed(type, checkedNames);

function printed(type: Type, names: OtherNames): string {
  switch (type.kind) {
    case "list":
      return `list(${printed(type.element, names)})`;
    case "map":
      return `map(${printed(type.key, names)}, ${printed(type.value, names)})`;
    case "object":
    case "parameter":
      return type.name;
    case "opaque": {
      const parameters = type.parameters.map((each) => printed(each, names));
      return parameters.length === 0 ? type.name : `${type.name}(${parameters.join(", ")})`;
    }
    case "type":
      return `type(${printed(type.of, names)})`;
    case "timestamp":
    case "duration":
    case "null":
      return names[type.kind];
    default:
      return type.kind;
  }
}

/** What type parameters stand for, as far as it is known. */
export type Bindings = Map<string, Type>;

/** Whether a value of type `given` may stand where `wanted` is declared; binds parameters. */
export function assignable(given: Type, wanted: Type, bindings: Bindings): boolean {
  if (wanted.kind === "parameter") {
    const bound = bindings.get(wanted.name);
    if (!bound || bound.kind === "parameter" || isUndetermined(bound)) {
      bindings.set(wanted.name, given);
      return true;
    }
    if (!assignable(given, bound, bindings)) return false;
    // Of two that agree the more general one, as cel-go's checker takes it.
    if (given.kind !== "parameter" && !isUndetermined(given) && isAsGeneral(given, bound))
      bindings.set(wanted.name, given);
    return true;
  }
  if (given.kind === "dyn" || wanted.kind === "dyn" || given.kind === "parameter") return true;
  if (given.kind === "null")
    return (
      wanted.kind === "null" ||
      wanted.kind === "object" ||
      wanted.kind === "timestamp" ||
      wanted.kind === "duration" ||
      wanted.kind === "opaque"
    );
  if (given.kind === "list" && wanted.kind === "list") return assignable(given.element, wanted.element, bindings);
  if (given.kind === "map" && wanted.kind === "map") {
    return assignable(given.key, wanted.key, bindings) && assignable(given.value, wanted.value, bindings);
  }
  if (given.kind === "opaque" && wanted.kind === "opaque") {
    return (
      given.name === wanted.name &&
      given.parameters.every((each, index) => assignable(each, wanted.parameters[index] ?? dyn, bindings))
    );
  }
  if (given.kind === "object" && wanted.kind === "object") return given.name === wanted.name;
  return given.kind === wanted.kind;
}

/** Whether the first type says no more than the second. */
function isAsGeneral(first: Type, second: Type): boolean {
  if (first.kind === "dyn" || first.kind === "parameter") return true;
  if (first.kind !== second.kind) return false;
  if (first.kind === "list" && second.kind === "list") return isAsGeneral(first.element, second.element);
  if (first.kind === "map" && second.kind === "map")
    return isAsGeneral(first.key, second.key) && isAsGeneral(first.value, second.value);
  if (first.kind === "opaque" && second.kind === "opaque")
    return (
      first.name === second.name &&
      first.parameters.every((each, index) => isAsGeneral(each, second.parameters[index] ?? dyn))
    );
  return first.kind !== "object" || second.kind !== "object" || first.name === second.name;
}

/** A declared type with its parameters filled in; what is not known is dyn. */
export function substituted(type: Type, bindings: Bindings): Type {
  switch (type.kind) {
    case "parameter":
      return bindings.get(type.name) ?? dyn;
    case "list":
      return listOf(substituted(type.element, bindings));
    case "map":
      return mapOf(substituted(type.key, bindings), substituted(type.value, bindings));
    case "opaque":
      return { ...type, parameters: type.parameters.map((each) => substituted(each, bindings)) };
    case "type":
      return { kind: "type", of: substituted(type.of, bindings) };
    default:
      return type;
  }
}

/** The type of a list's or map's elements that are of both types. */
export function joined(a: Type | undefined, b: Type): Type {
  if (!a) return b;
  if ((a.kind === "null" || isUndetermined(a)) && assignable(a, b, new Map())) return b;
  return assignable(b, a, new Map()) && !isDyn(b) ? a : dyn;
}

const plain: Readonly<Record<string, Type>> = {
  dyn,
  bool,
  int,
  uint,
  double,
  string,
  bytes,
  null: nullType,
  timestamp,
  duration,
};

/** Reads `list(A)`, `map(string, dyn)`, `optional(A)`, `type(A)`, `net.IP`; single capitals are parameters. */
export function parseType(text: string): Type {
  const [type, rest] = readType(text.trim());
  if (rest.trim() !== "") throw new RangeError(`no type: ${text}`);
  return type;
}

export function readType(text: string): [Type, string] {
  const name = /^\s*([A-Za-z_][\w.]*)/.exec(text);
  if (!name) throw new RangeError(`no type: ${text}`);
  let rest = text.slice(name[0].length);
  const [, word = ""] = name;
  const parameters: Type[] = [];
  if (rest.startsWith("(")) {
    do {
      const [parameter, after] = readType(rest.slice(1));
      parameters.push(parameter);
      rest = after.trimStart();
    } while (rest.startsWith(","));
    rest = rest.slice(1);
  }
  const [first = dyn, second = dyn] = parameters;
  if (word === "list") return [listOf(first), rest];
  if (word === "map") return [mapOf(first, second), rest];
  if (word === "optional") return [optionalOf(first), rest];
  if (word === "type") return [{ kind: "type", of: first }, rest];
  if (/^[A-Z]$/.test(word)) return [{ kind: "parameter", name: word }, rest];
  return [plain[word] ?? opaque(word), rest];
}
