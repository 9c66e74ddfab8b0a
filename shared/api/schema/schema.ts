/**
 * The one structural form of a schema. Built-in kinds (from the generated facts) and CustomResourceDefinitions are both
 * turned into it, so one walker each does pruning, defaulting, validation, patches and server-side apply for all.
 * A schema may refer to itself: walk it along a value, never on its own.
 */
import type { GroupVersionKind } from "../object.ts";
import { builtInSchema } from "./built-in.ts";

/** `any` is arbitrary JSON: RawExtension, an embedded JSON document, a CRD node without a type. */
export type SchemaType = "object" | "array" | "string" | "integer" | "number" | "boolean" | "any";

/** What Go decodes a scalar to; absent in schemas of CRDs, whose OpenAPI formats are in `format` as written. */
export type GoType =
  | "string"
  | "int32"
  | "int64"
  | "uint32"
  | "float64"
  | "bool"
  | "bytes"
  | "time"
  | "microTime"
  | "duration"
  | "quantity"
  | "intOrString"
  | "rawExtension"
  | "fieldsV1"
  | "json"
  | "schemaOrBool"
  | "schemaOrArray"
  | "schemaOrStrings";

/** When Go's encoder writes a field: `omitempty`, `omitzero` (times), or always, as a zero value when it was not given. */
export type Presence = "omitEmpty" | "omitZero" | "always";

export interface Schema {
  readonly type: SchemaType;
  readonly goType?: GoType | undefined;
  /** OpenAPI format as published: `int32`, `date-time`, `byte`, … */
  readonly format?: string | undefined;
  /** OpenAPI model name of a built-in struct, `io.k8s.api.core.v1.Pod`. */
  readonly model?: string | undefined;

  /** Declared fields of an object, by JSON name, in declaration order. Absent for a pure map and for `any`. */
  readonly properties?: ReadonlyMap<string, Schema> | undefined;
  /** Schema of the values of a map. */
  readonly additionalProperties?: Schema | undefined;
  /** Schema of the elements of an array. */
  readonly items?: Schema | undefined;
  readonly required?: readonly string[] | undefined;
  readonly enum?: readonly unknown[] | undefined;
  /** Default as published in OpenAPI, zero values (`""`, `0`, `{}`) included; undefined when there is none. */
  readonly default?: unknown;
  readonly nullable: boolean;

  /** x-kubernetes-list-type; absent means atomic for server-side apply. */
  readonly listType?: "atomic" | "set" | "map" | undefined;
  readonly listMapKeys?: readonly string[] | undefined;
  /** x-kubernetes-map-type; absent means granular. On structs too. */
  readonly mapType?: "atomic" | "granular" | undefined;
  /** Strategic merge patch: `merge`, `replace`, `retainKeys`. */
  readonly patchStrategy?: readonly ("merge" | "replace" | "retainKeys")[] | undefined;
  readonly patchMergeKey?: string | undefined;

  /** x-kubernetes-int-or-string (the type is then `any`). */
  readonly intOrString: boolean;
  /** x-kubernetes-preserve-unknown-fields: fields that are not declared are kept. */
  readonly preserveUnknownFields: boolean;
  /** x-kubernetes-embedded-resource: the object has apiVersion, kind and metadata of its own. */
  readonly embeddedResource: boolean;

  /** True for schemas of CRDs, whose values are JSON and not Go structs: nothing is written that was not given. */
  readonly structural?: boolean | undefined;
  /** Go types only: when the encoder writes this field. */
  readonly presence?: Presence | undefined;
  /** Go types only: the field is a pointer, so zero is something else than absent. */
  readonly pointer?: boolean | undefined;
}

/** Schema of a built-in kind, its lists and the option kinds of any group included; undefined for what is not built in. */
export function schemaFor(gvk: GroupVersionKind): Schema | undefined {
  return builtInSchema(gvk);
}
