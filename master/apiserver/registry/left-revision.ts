import { KeyExistsError, RevisionMismatchError, type Store } from "../../store/store.ts";
import type { CacheHub } from "../watch-cache/cache-hub.ts";

/** A master without peers keeps it in memory alone. */
const KEY = "/registry/left-revision/newest";

/**
 * Sees to it that what is listed from now on is newer than a revision whose lists nobody can go on with. Upstream's compaction is
 * a write itself, so that such a revision is never the newest; here it may be, where nobody has written since.
 */
export async function leaveRevision(revision: number, { store, hub }: { store: Store; hub: CacheHub }): Promise<void> {
  if (hub.revision > revision) return;
  const value = JSON.stringify({ revision });
  const present = await store.get(KEY);
  try {
    const next = await (present ? store.update(KEY, value, present.revision) : store.create(KEY, value));
    await hub.waitFor(next);
  } catch (error) {
    // Another one has written in its place.
    if (!(error instanceof RevisionMismatchError || error instanceof KeyExistsError)) throw error;
    await hub.waitFor(await store.now());
  }
}
