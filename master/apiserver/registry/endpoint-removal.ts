/** DELETE of an object and of a collection: from a request that may be made to an answer. */
import { badRequest, isNotFound } from "#shared/api/errors.ts";
import type { DeleteOptions } from "#shared/api/types/meta-v1.generated.ts";
import type { ApiResponse, RequestBody } from "../request.ts";
import type { Entry } from "../watch-cache/entry.ts";
import { listResponse, objectResponse, valueResponse } from "./answer.ts";
import type { EndpointParts } from "./endpoint.ts";
import { type EndpointRequest, scopeOf } from "./endpoint-request.ts";
import { checkedParameters, listEntries } from "./list.ts";
import { readListOptions } from "./list-options.ts";
import { remove, warnOfPropagation } from "./remove.ts";
import { nameOf, namespaceOf, selectorsOf, storedOf } from "./request-target.ts";
import { parseSelection } from "./selection.ts";
import { assertReadable, removeUnreadable } from "./unreadable.ts";
import { deleteOptions, givenOf } from "./write-options.ts";
import { addressedKey, type WriteParts, type WriteScope } from "./write-scope.ts";

/** Deletes of a collection that run at once. */
const DELETES_AT_ONCE = 50;

export async function removeOne(parts: EndpointParts, request: EndpointRequest): Promise<ApiResponse> {
  const { context, resource, accepted } = request;
  const body = await context.body.read();
  const options = deleteOptions(body, context.headers["content-type"], context.query);
  context.audit?.requestObject(auditedOptions(body, options));
  const scope = { ...scopeOf(request, undefined, options.isDryRun), options: givenOf(options) };
  const name = nameOf(context);
  const { group, plural } = resource.declaration.ref;
  const gone = (uid: string | undefined): ApiResponse => {
    const details = { name, ...(group ? { group } : {}), kind: plural, uid };
    return valueResponse({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details }, 200, accepted);
  };
  if (await removeUnreadable(parts, context, scope, addressedKey(scope, name), options)) return gone(undefined);
  const { entry, isGone } = await remove(parts, scope, name, options);
  if (!isGone || resource.declaration.strategy?.answersDeleteWithObject) {
    await resource.ready([entry]);
    // Upstream says so of the older of the two options alone.
    const answersLater = !isGone && !scope.dryRun && options.orphanDependents === false;
    return objectResponse(context, accepted, resource, resource.serve(entry), answersLater ? 202 : 200);
  }
  return gone(entry.view().metadata.uid);
}

/** Deletes what a list with the same selectors would show; of a list in pages, the first. Fails, once they are gone, where something
 *  else is there that cannot be read. */
export async function removeCollection(parts: WriteParts, request: EndpointRequest): Promise<ApiResponse> {
  const { context, resource, accepted } = request;
  const { hub, store } = parts;
  const body = await context.body.read();
  const options = deleteOptions(body, context.headers["content-type"], context.query);
  const stored = storedOf(resource);
  const scope = { ...scopeOf(request, undefined, options.isDryRun), options: givenOf(options) };
  const selection = parseSelection(resource, namespaceOf(context, resource), selectorsOf(context));
  const asked = readListOptions(context.query);
  warnOfPropagation(scope, options);
  const parameters = checkedParameters(asked);
  const source = { hub, store, cache: stored.cache, resource, now_ms: () => parts.now_ms() };
  const { entries, metadata } = await listEntries(source, selection, parameters);
  // As upstream, which finds out with the first of them.
  if (context.info.lacksNamespace && entries.length > 0) throw badRequest("Namespace parameter required.");
  // What cannot be listed in this version is not deleted by it.
  await resource.ready(entries);
  for (let from = 0; from < entries.length; from += DELETES_AT_ONCE) {
    const group = entries.slice(from, from + DELETES_AT_ONCE);
    await Promise.all(group.map((entry) => removeIfThere(parts, scope, entry, options)));
  }
  assertReadable(stored.cache, namespaceOf(context, resource));
  // As they were listed, before anything was done to them.
  await resource.ready(entries);
  const items = entries.map((entry) => resource.serve(entry));
  return listResponse(context, accepted, resource, items, metadata);
}

async function removeIfThere(
  parts: WriteParts,
  scope: WriteScope,
  entry: Entry,
  options: DeleteOptions,
): Promise<void> {
  const own = scope.resource.declaration.ref.namespaced ? { ...scope, namespace: entry.namespace } : scope;
  try {
    await remove(parts, own, entry.name, options, "unnamed");
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** Those that a body brought, in the version that upstream has them in by then. */
function auditedOptions(body: RequestBody, options: DeleteOptions & { readonly isDryRun: boolean }): unknown {
  if (body.kind === "none" || (body.kind === "bytes" && body.bytes.length === 0)) return undefined;
  const { isDryRun: _, metadata: __, ...given } = options as typeof options & { readonly metadata?: unknown };
  return { ...given, kind: "DeleteOptions", apiVersion: "meta.k8s.io/__internal" };
}
