/** Values of the store that are no objects: what clients hear of them, and how they are removed (KEP-3926). */
import { internalError, notFound, type StatusError } from "#shared/api/errors.ts";
import type { DeleteOptions } from "#shared/api/types/meta-v1.generated.ts";
import type { RequestContext } from "../request.ts";
import type { ResourceCache, Unreadable } from "../watch-cache/resource-cache.ts";
import type { ServedResource } from "./served-resource.ts";
import { checkUnreadableOptions } from "./write-options.ts";
import type { WriteParts, WriteScope } from "./write-scope.ts";

/** Worded as upstream's store has it where it tells such values apart. */
function corrupt(cache: ResourceCache, key: string, { revision, why }: Unreadable): StatusError {
  const fault = `object not decodable revision=${revision}: ${why}`;
  return internalError(
    `StorageError: corrupt object, Code: 7, Key: ${cache.prefix}${key}, ResourceVersion: 0, AdditionalErrorMsg: ${fault}`,
  );
}

/** Why there is no object under a key: there is nothing, or what is there cannot be read. */
export function noObject(
  resource: ServedResource,
  cache: ResourceCache | undefined,
  key: string,
  name: string,
): StatusError {
  const found = cache?.unreadable(key);
  return cache && found ? corrupt(cache, key, found) : notFound(resource.name, name);
}

/** The permission that it takes beside that to delete. */
const unsafeDeleteVerb = "unsafe-delete-ignore-read-errors";

/**
 * Takes what cannot be read out of the store, where a client asks for that: without finalizers, preconditions and admission, which
 * all would have to read it. False where it is not asked for, or the object can be read.
 */
export async function removeUnreadable(
  parts: WriteParts & { mayAlso(context: RequestContext, verb: string): Promise<void> },
  context: RequestContext,
  { stored: { cache } }: WriteScope,
  key: string,
  options: DeleteOptions,
): Promise<boolean> {
  const found = cache.unreadable(key);
  if (!found || !options.ignoreStoreReadErrorWithClusterBreakingPotential) return false;
  checkUnreadableOptions(options);
  context.auditAnnotations["apiserver.k8s.io/unsafe-delete-ignore-read-error"] = "";
  await parts.mayAlso(context, unsafeDeleteVerb);
  const revision = await parts.store.delete(cache.prefix + key, found.revision);
  await parts.hub.waitFor(revision);
  return true;
}
