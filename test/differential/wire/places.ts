/** Where in an object something can be wrong, and how. Pure. */
import { parseApiVersion } from "#shared/api/object.ts";
import { type Schema, schemaFor } from "#shared/api/schema/schema.ts";
import type { Json } from "./request.ts";

export type Path = readonly (string | number)[];

export interface Place {
  readonly path: Path;
  readonly value: unknown;
  readonly schema: Schema | undefined;
}

/** Every place of an object but its kind, each followed by those below it. Of a list, its first element alone. */
export function placesOf(object: Json): Place[] {
  const gvk = { ...parseApiVersion(String(object["apiVersion"])), kind: String(object["kind"]) };
  return below(object, schemaFor(gvk), []).filter(({ path }) => path[0] !== "apiVersion" && path[0] !== "kind");
}

function below(value: unknown, schema: Schema | undefined, path: Path): Place[] {
  if (Array.isArray(value)) {
    const [first] = value;
    return first === undefined ? [] : [...placeAt(first, schema?.items, [...path, 0])];
  }
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, item]) =>
    placeAt(item, schema?.properties?.get(key) ?? schema?.additionalProperties, [...path, key]),
  );
}

const placeAt = (value: unknown, schema: Schema | undefined, path: Path): Place[] => [
  { path, value, schema },
  ...below(value, schema, path),
];

/** A copy with another value at a place; undefined takes it out. */
export function withValue<T>(object: T, path: Path, value: unknown): T {
  const copy = structuredClone(object) as unknown;
  let at = copy as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
  const last = path.at(-1) ?? "";
  if (value !== undefined) at[last] = value;
  else if (Array.isArray(at)) at.splice(Number(last), 1);
  else delete at[last];
  return copy as T;
}

export interface Wrong {
  readonly what: string;
  readonly value: unknown;
}

const long = "x".repeat(300);

/** What is tried in the place of a value: missing, of another type, out of bounds, too long, unknown. */
export function wrongsOf({ value }: Place): Wrong[] {
  const missing = { what: "missing", value: undefined };
  const null_ = { what: "null", value: null };
  switch (typeof value) {
    case "string":
      return [missing, ...named({ "": "", "a number": 7, "bad characters": "Bad Value!", "too long": long })];
    case "number":
      return [missing, ...named({ "-1": -1, "0": 0, "a fraction": 1.5, text: "7", "over int32": 2147483648 })];
    case "boolean":
      return [missing, ...named({ text: "true", negated: !value })];
    default:
      return Array.isArray(value)
        ? [missing, null_, ...named({ "an object": {}, empty: [], twice: [...value, ...value], "null in it": [null] })]
        : [
            missing,
            null_,
            ...named({ text: "text", "a list": [], "unknown field": { ...(value as Json), unknownField: 1 } }),
          ];
  }
}

const named = (values: Readonly<Record<string, unknown>>): Wrong[] =>
  Object.entries(values).map(([what, value]) => ({ what, value }));

/** Another value that may well be right. */
export function othersOf({ value }: Place): Wrong[] {
  const missing = { what: "missing", value: undefined };
  switch (typeof value) {
    case "string":
      return [missing, { what: "other", value: `${value}x` }];
    case "number":
      return [missing, { what: "one more", value: value + 1 }];
    case "boolean":
      return [{ what: "negated", value: !value }];
    default:
      return Array.isArray(value) ? [missing, { what: "twice", value: [...value, ...value] }] : [missing];
  }
}

export interface Absent {
  readonly path: Path;
  readonly value: unknown;
}

/** Declared fields that the objects of a value lack, with a value of the right type that is probably wrong. */
export function absentOf(object: Json): Absent[] {
  const gvk = { ...parseApiVersion(String(object["apiVersion"])), kind: String(object["kind"]) };
  const whole: Place = { path: [], value: object, schema: schemaFor(gvk) };
  return [whole, ...placesOf(object)].flatMap(({ path, value, schema }) => {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return [];
    if (path[0] === "metadata" && path.length > 1) return [];
    return [...(schema?.properties ?? [])]
      .filter(([key]) => !(key in value) && key !== "apiVersion" && key !== "kind")
      .flatMap(([key, field]) => badOf(field).map((bad) => ({ path: [...path, key], value: bad })));
  });
}

function badOf(field: Schema): unknown[] {
  switch (field.type) {
    case "string":
      return ["Bad Value!"];
    case "integer":
    case "number":
      return [-1];
    case "boolean":
      return [true];
    case "array":
      return [[field.items ? badOf(field.items)[0] : {}]];
    case "object":
      return field.additionalProperties ? [{ "bad key!": badOf(field.additionalProperties)[0] }] : [{}];
    case "any":
      return ["Bad Value!", -1];
  }
}
