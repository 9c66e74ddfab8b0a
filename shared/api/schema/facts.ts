/**
 * Reads the generated facts about built-in kinds. The file is kept as text and each model is parsed when it is first asked
 * for, so what no client uses costs nothing but its text.
 *
 * Grammar of a field: `[name, protobuf number, type, flags, more]`.
 * - type: a Go type's name, `@model`, `[]element`, `{}value`, or `[=]element`, a list that is a protobuf message itself
 *   (`repeated … items = 1`).
 * - flags: o omitempty, z omitzero, p pointer, r required, d a zero default in OpenAPI, e elements with a zero default,
 *   i an inlined struct: its fields stand among ours in JSON, but in a message of their own in protobuf.
 * Model names leave out `io.k8s.`.
 */
import type { GroupVersionKind } from "../object.ts";
import factsModule from "./facts.generated.json" with { type: "text" };
import type { GoType } from "./schema.ts";

const text = factsModule as unknown as string;

export type TypeExpression =
  | { readonly kind: "scalar"; readonly scalar: GoType }
  | { readonly kind: "model"; readonly model: string }
  | { readonly kind: "list"; readonly element: TypeExpression; readonly wrapped: boolean }
  | { readonly kind: "map"; readonly element: TypeExpression };

export interface FieldFacts {
  /** Empty for an inlined struct. */
  readonly name: string;
  /** 0 when the field is not in protobuf. */
  readonly number: number;
  readonly type: TypeExpression;
  readonly flags: string;
  readonly more: {
    readonly listType?: "atomic" | "set" | "map";
    readonly listMapKeys?: readonly string[];
    readonly mapType?: "atomic" | "granular";
    readonly patchStrategy?: readonly ("merge" | "replace" | "retainKeys")[];
    readonly patchMergeKey?: string;
    readonly enum?: readonly unknown[];
    /** Of the elements of a list or map. */
    readonly elementEnum?: readonly unknown[];
    readonly default?: unknown;
  };
}

export interface ModelFacts {
  readonly name: string;
  readonly mapType: "atomic" | "granular" | undefined;
  readonly unions: unknown;
  readonly fields: readonly FieldFacts[];
}

export interface KindFacts extends GroupVersionKind {
  readonly model: string;
}

interface RawModel {
  readonly mapType?: "atomic" | "granular";
  readonly unions?: unknown;
  readonly fields: readonly (readonly [string, number, string, string?, FieldFacts["more"]?])[];
}

const nothingMore: FieldFacts["more"] = {};
const expressions = new Map<string, TypeExpression>();
const models = new Map<string, ModelFacts>();
let kindTable: Map<string, KindFacts> | undefined;

/** Every built-in kind: group, version, kind and model. Meta kinds stand under the group `meta.k8s.io` alone. */
export function builtInKinds(): Iterable<KindFacts> {
  return kindsByName().values();
}

/** The model of a kind. Options, Status and other meta kinds are found in any group, as clients send them. */
export function modelOfKind({ group, version, kind }: GroupVersionKind): string | undefined {
  const kinds = kindsByName();
  return (kinds.get(`${group}/${version}/${kind}`) ?? kinds.get(`meta.k8s.io/v1/${kind}`))?.model;
}

/** Facts of a model by its short name (`api.core.v1.Pod`); throws for a name that is not in the facts. */
export function modelFacts(name: string): ModelFacts {
  const known = models.get(name);
  if (known) return known;
  const start = text.indexOf(`\n"${name}":{`);
  if (start < 0) throw new RangeError(`no facts for the model ${name}`);
  const end = text.indexOf("\n", start + 1);
  const line = text.slice(start + name.length + 4, end);
  const raw = JSON.parse(line.endsWith(",") ? line.slice(0, -1) : line) as RawModel;
  const facts: ModelFacts = {
    name,
    mapType: raw.mapType,
    unions: raw.unions,
    fields: raw.fields.map(([field, number, type, flags = "", more = nothingMore]) => ({
      name: field,
      number,
      type: parseType(type),
      flags,
      more,
    })),
  };
  models.set(name, facts);
  return facts;
}

const versionsKey = '\n],"optionVersions":';

/** A version that upstream's server knows DeleteOptions and WatchEvent in. */
export interface OptionVersion {
  readonly group: string;
  readonly version: string;
  /** Clients know the version too: documents of custom resources name it. */
  readonly ofClients: boolean;
}

/** Their models name all of these. */
export function optionVersions(): OptionVersion[] {
  const start = text.indexOf(versionsKey) + versionsKey.length;
  const rows = JSON.parse(text.slice(start, text.indexOf(",\n", start))) as [string, string, "client"?][];
  return rows.map(([group, version, known]) => ({ group, version, ofClients: known !== undefined }));
}

function kindsByName(): Map<string, KindFacts> {
  if (kindTable) return kindTable;
  const start = text.indexOf("[");
  const rows = JSON.parse(text.slice(start, text.indexOf(versionsKey) + 2)) as [string, string, string, string][];
  kindTable = new Map(
    rows.map(([group, version, kind, model]) => [`${group}/${version}/${kind}`, { group, version, kind, model }]),
  );
  return kindTable;
}

function parseType(source: string): TypeExpression {
  const known = expressions.get(source);
  if (known) return known;
  const parsed = parse();
  expressions.set(source, parsed);
  return parsed;

  function parse(): TypeExpression {
    if (source.startsWith("@")) return { kind: "model", model: source.slice(1) };
    if (source.startsWith("[]")) return { kind: "list", element: parseType(source.slice(2)), wrapped: false };
    if (source.startsWith("[=]")) return { kind: "list", element: parseType(source.slice(3)), wrapped: true };
    if (source.startsWith("{}")) return { kind: "map", element: parseType(source.slice(2)) };
    return { kind: "scalar", scalar: source as GoType };
  }
}
