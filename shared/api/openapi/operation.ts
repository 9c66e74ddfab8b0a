/** What a request may be, in the terms that both dialects of OpenAPI are rendered from. */
import type { GroupVersionKind } from "../object.ts";

export type Method = "get" | "put" | "post" | "delete" | "options" | "head" | "patch";

export interface Parameter {
  readonly name: string;
  readonly in: "query" | "path";
  readonly type: "string" | "integer" | "boolean";
  readonly description?: string | undefined;
  /** Short name of the model that this is a field of: the field's description is the parameter's. */
  readonly model?: string | undefined;
}

export interface Operation {
  readonly method: Method;
  readonly operationId: string;
  readonly description: string;
  /** What it does to a resource. */
  readonly on?: { readonly action: string; readonly gvk: GroupVersionKind } | undefined;
  readonly parameters: readonly Parameter[];
  /** Model of the request's body; `patch` has one of its own, DELETE's is optional. */
  readonly body?: string | undefined;
  /** Media types of the body, told without a body too. */
  readonly consumes?: readonly string[] | undefined;
  /** Model of the answer; absent: text. */
  readonly answer?: string | undefined;
  readonly produces: readonly string[];
  readonly codes: readonly number[];
}

export interface PathItem {
  readonly path: string;
  readonly tag: string;
  /** Those of all its operations. */
  readonly parameters: readonly Parameter[];
  readonly operations: readonly Operation[];
}
