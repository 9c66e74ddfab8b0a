import type { KubeObject } from "./object.ts";

/** Names one served resource; `T` is the TypeScript shape of its objects. Built-in ones stand in resources.ts. */
export interface ResourceRef<T = KubeObject> {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Plural, lower case: the path segment. */
  readonly plural: string;
  readonly namespaced: boolean;
  /** Never set: carries `T` for the type checker. */
  readonly objectType?: T;
}

/** The REST path below the server's root, without a query. */
export function resourcePath(
  ref: ResourceRef<unknown>,
  where: { namespace?: string | undefined; name?: string | undefined; subresource?: string | undefined } = {},
): string {
  const segments = [ref.group === "" ? "/api" : `/apis/${ref.group}`, ref.version];
  if (ref.namespaced && where.namespace) segments.push("namespaces", encodeURIComponent(where.namespace));
  segments.push(ref.plural);
  if (where.name !== undefined) segments.push(encodeURIComponent(where.name));
  if (where.subresource !== undefined) segments.push(where.subresource);
  return segments.join("/");
}
