import { isConflict } from "#shared/api/errors.ts";
import type { ObjectKey } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { Client, WriteOptions } from "#shared/client/client.ts";

/** A controller writes an object a few times until it is as it wants it: more conflicts than this are a fault of its own. */
const attempts = 100;

/**
 * Reads an object, changes it and writes it, from the start again when somebody else wrote it in between, as client-go's
 * RetryOnConflict: a controller at work may write at any moment. `change` gives the object to write, made from what is
 * there now; it must not change that. Any other error goes to the caller, and so does the last of 100 conflicts.
 */
export async function updateLatest<T>(
  client: Client,
  ref: ResourceRef<T>,
  key: ObjectKey,
  change: (latest: T) => T,
  options?: WriteOptions,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const latest = await client.get(ref, key);
    try {
      return await client.update(ref, change(latest), options);
    } catch (error) {
      if (!isConflict(error) || attempt === attempts) throw error;
    }
  }
}
