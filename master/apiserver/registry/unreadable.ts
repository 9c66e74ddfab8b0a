/**
 * Values of the store that are no objects: what clients hear of them, and how they are removed (KEP-3926).
 *
 * On purpose lists and watches go on without them. Upstream fails every list of the resource as long as one object of it cannot be
 * read, so that no informer of it starts any more: one damaged pod on a card would keep all pods of all boards from being run.
 * What asks for the object itself hears of the damage, and so does what is to promise that nothing is left: a delete of the
 * collection fails, as upstream's does, and the namespace around it waits and says why. Upstream's feature gate for taking such
 * objects out is off by default; here that can always be asked for, by whoever may.
 */
import { internalError, notFound, type StatusError } from "#shared/api/errors.ts";
import type { DeleteOptions } from "#shared/api/types/meta-v1.generated.ts";
import type { RequestContext } from "../request.ts";
import type { ResourceCache } from "../watch-cache/resource-cache.ts";
import type { Unreadable } from "../watch-cache/sealed-values.ts";
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
  const sealed = cache?.sealed.at(key);
  if (sealed) return internalError(sealed.why);
  const found = cache?.unreadable(key);
  return cache && found ? corrupt(cache, key, found) : notFound(resource.name, name);
}

/**
 * Throws where something in the scope of a list or watch cannot be read for now, since the service that has its key does not give it.
 * Unlike a damaged value, of these there may be many, and they come again: who heard of none would take them for deleted.
 */
export function assertUnsealed(cache: ResourceCache, namespace: string | undefined): void {
  const found = cache.sealed.first(namespace);
  if (found) throw internalError(`unable to transform key ${JSON.stringify(cache.prefix + found.key)}: ${found.why}`);
}

/** Throws where something in the scope of a delete of a collection cannot be read, and so is not gone with all else. */
export function assertReadable(cache: ResourceCache, namespace: string | undefined): void {
  assertUnsealed(cache, namespace);
  for (const key of cache.unreadableKeys(namespace)) {
    const found = cache.unreadable(key);
    if (found) throw corrupt(cache, key, found);
  }
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
  const found = cache.unreadable(key) ?? cache.sealed.at(key);
  if (!found || !options.ignoreStoreReadErrorWithClusterBreakingPotential) return false;
  checkUnreadableOptions(options);
  context.auditAnnotations["apiserver.k8s.io/unsafe-delete-ignore-read-error"] = "";
  await parts.mayAlso(context, unsafeDeleteVerb);
  const revision = await parts.store.delete(cache.prefix + key, found.revision);
  await parts.hub.waitFor(revision);
  return true;
}
