import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { Client } from "#shared/client/client.ts";

/** Adds the finalizer to an object that lives, and takes it from one that is deleted and no longer in use.
 *  Gives the object as it is then. */
export async function keepFinalizer<T extends KubeObject>(
  client: Client,
  ref: ResourceRef<T>,
  object: T,
  finalizer: string,
  inUse: () => boolean,
): Promise<T> {
  const { deletionTimestamp, finalizers = [] } = object.metadata;
  const has = finalizers.includes(finalizer);
  const wanted = deletionTimestamp === undefined || (has && inUse());
  if (has === wanted) return object;
  const changed = wanted ? [...finalizers, finalizer] : finalizers.filter((one) => one !== finalizer);
  return client.update(ref, { ...object, metadata: { ...object.metadata, finalizers: changed } });
}
