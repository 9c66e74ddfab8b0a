import type { ObjectMeta } from "./types/meta-v1.generated.ts";

/** Any API object, built-in or custom, as decoded JSON. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** The same object for code that walks fields by name: `fieldsOf(object)["spec"]`. */
export function fieldsOf(object: KubeObject): Record<string, unknown> {
  return object as unknown as Record<string, unknown>;
}

/** What identifies an object within its resource. `namespace` is absent for cluster-scoped ones. */
export interface ObjectKey {
  readonly namespace?: string | undefined;
  readonly name: string;
}

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** `v1` for the core group, else `group/version`. */
export function apiVersionOf(gv: { readonly group: string; readonly version: string }): string {
  return gv.group === "" ? gv.version : `${gv.group}/${gv.version}`;
}

export function parseApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf("/");
  return slash < 0
    ? { group: "", version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** `namespace/name`, or `name` for a cluster-scoped object: the key used by queues, caches and logs. */
export function keyOf(object: {
  readonly metadata: { readonly namespace?: string | undefined; readonly name?: string | undefined };
}): string {
  const { namespace, name = "" } = object.metadata;
  return namespace ? `${namespace}/${name}` : name;
}

/** For sorting, the oldest first; of those made within one second, by name. */
export function byAge({ metadata: a }: KubeObject, { metadata: b }: KubeObject): number {
  const [aCreated = "", bCreated = ""] = [a.creationTimestamp, b.creationTimestamp];
  if (aCreated !== bCreated) return aCreated < bCreated ? -1 : 1;
  return (a.name ?? "") < (b.name ?? "") ? -1 : 1;
}

export function splitKey(key: string): ObjectKey {
  const slash = key.indexOf("/");
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
