import { KeyExistsError, RevisionMismatchError, type Store } from "../../store/store.ts";
import type { CacheHub } from "../watch-cache/cache-hub.ts";

/** A master without peers keeps it in memory alone. */
const KEY = "/registry/left-revision/newest";

interface Leaving {
  readonly store: Store;
  readonly hub: CacheHub;
  /** Wall clock in ms since the epoch. */
  readonly now_ms: number;
  /** How long a list may be gone on with. */
  readonly after_ms: number;
}

/**
 * Sees to it that what is listed from now on is newer than a revision whose lists nobody can go on with. Upstream's compaction is
 * a write itself, so that such a revision is never the newest; here it may be, where nobody has written since.
 * Tokens are not signed: one that tells of a list as of a revision, from before that revision came about, has its reader write nothing.
 */
export async function leaveRevision(revision: number, { store, hub, now_ms, after_ms }: Leaving): Promise<void> {
  if (hub.revision > revision) return;
  const present = await store.get(KEY);
  if (present && leftAt(present.value) > now_ms - after_ms) return;
  const value = JSON.stringify({ revision, at_ms: now_ms });
  try {
    const next = await (present ? store.update(KEY, value, present.revision) : store.create(KEY, value));
    await hub.waitFor(next);
  } catch (error) {
    // Another one has written in its place.
    if (!(error instanceof RevisionMismatchError || error instanceof KeyExistsError)) throw error;
    await hub.waitFor(await store.now());
  }
}

/** 0: a former version did not note it. */
function leftAt(value: string): number {
  const { at_ms } = JSON.parse(value) as { readonly at_ms?: number };
  return at_ms ?? 0;
}
