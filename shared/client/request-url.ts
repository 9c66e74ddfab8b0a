import type { ObjectKey } from "#shared/api/object.ts";
import { type ResourceRef, resourcePath } from "#shared/api/resource-ref.ts";
import type { ListOptions, Patch, ReadScope, WatchOptions, WriteOptions } from "./client.ts";

type Parameters = Readonly<Record<string, string | number | boolean | undefined>>;

function withQuery(path: string, parameters: Parameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "" && value !== false) query.set(name, String(value));
  }
  return query.size > 0 ? `${path}?${query}` : path;
}

const scopeParameters = ({ labelSelector, fieldSelector }: ReadScope): Parameters => ({ labelSelector, fieldSelector });

/** Path and query of a GET of one object. */
export function objectUrl(
  ref: ResourceRef<unknown>,
  key: ObjectKey,
  options: { readonly subresource?: string | undefined; readonly resourceVersion?: string | undefined } = {},
): string {
  const { subresource, resourceVersion } = options;
  return withQuery(resourcePath(ref, { ...key, subresource }), { resourceVersion });
}

/** Of a list. */
export function listUrl(ref: ResourceRef<unknown>, options: ListOptions = {}): string {
  return withQuery(resourcePath(ref, { namespace: options.namespace }), {
    ...scopeParameters(options),
    limit: options.limit,
    continue: options.continue,
    resourceVersion: options.resourceVersion,
    resourceVersionMatch: options.resourceVersionMatch,
  });
}

/** Of a watch, also one that begins with all objects (WatchList). */
export function watchUrl(ref: ResourceRef<unknown>, options: WatchOptions): string {
  return withQuery(resourcePath(ref, { namespace: options.namespace }), {
    ...scopeParameters(options),
    watch: true,
    resourceVersion: options.resourceVersion,
    sendInitialEvents: options.sendInitialEvents,
    resourceVersionMatch: options.sendInitialEvents ? "NotOlderThan" : undefined,
    allowWatchBookmarks: options.allowWatchBookmarks,
    timeoutSeconds: options.timeoutSeconds,
  });
}

/** Of a deletecollection. */
export function collectionUrl(ref: ResourceRef<unknown>, scope: ReadScope): string {
  return withQuery(resourcePath(ref, { namespace: scope.namespace }), scopeParameters(scope));
}

/** Of a create (no name), an update or a patch. */
export function writeUrl(
  ref: ResourceRef<unknown>,
  where: { readonly namespace?: string | undefined; readonly name?: string | undefined },
  options: WriteOptions & { readonly force?: boolean | undefined } = {},
): string {
  return withQuery(resourcePath(ref, { ...where, subresource: options.subresource }), {
    fieldManager: options.fieldManager,
    dryRun: options.dryRun ? "All" : undefined,
    force: options.force,
  });
}

export const patchContentTypes: { readonly [K in Patch["type"]]: string } = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
  // JSON is YAML; servers before 1.36 know server-side apply by this type alone.
  apply: "application/apply-patch+yaml",
};
