/** What makes an object where there is none, and changes it where there is one: PUT of some kinds, and apply. */
import { isAlreadyExists, isNotFound } from "#shared/api/errors.ts";
import type { Entry } from "../watch-cache/entry.ts";
import type { WriteParts, WriteScope } from "./write-scope.ts";

export interface CreatedOrUpdated {
  readonly entry: Entry;
  readonly created: boolean;
}

export interface CreateOrUpdate {
  create(): Promise<Entry>;
  update(): Promise<Entry>;
}

const ATTEMPTS = 5;

/** By whichever way fits; where somebody else makes or deletes the object meanwhile, by the other one: upstream's store does both in one
 *  write. Throws StatusError. */
export async function createOrUpdate(
  { hub, store }: WriteParts,
  { stored: { cache } }: WriteScope,
  key: string,
  ways: CreateOrUpdate,
): Promise<CreatedOrUpdated> {
  const isThere = (): boolean => cache.get(key) !== undefined;
  for (let attempt = 1; ; attempt += 1) {
    const created = !isThere();
    try {
      return { entry: await (created ? ways.create() : ways.update()), created };
    } catch (error) {
      const isOvertaken = created ? isAlreadyExists(error) : isNotFound(error);
      if (!isOvertaken || attempt === ATTEMPTS) throw error;
      await hub.waitFor(await store.now());
      if (isThere() !== created) throw error;
    }
  }
}
