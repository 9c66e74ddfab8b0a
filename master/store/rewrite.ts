import { RevisionMismatchError, type Store, type StoredValue } from "./store.ts";

const page = 50;
const pause_ms = 20;

/** Writes every value under the prefixes once more, a page at a time, so that all rest under the key that encrypts now; what
 *  others write meanwhile does by itself. Then history is forgotten, which still rests under the former key, and what the file has left of
 *  it. Gives their number. */
export async function rewriteValues(store: Store, prefixes: readonly string[]): Promise<number> {
  let rewritten = 0;
  for (const prefix of prefixes) {
    let startAfter: string | undefined;
    for (let more = true; more; ) {
      const found = await store.list(prefix, { limit: page, startAfter });
      await Promise.all(found.items.map((item) => rewrite(store, item)));
      rewritten += found.items.length;
      startAfter = found.items.at(-1)?.key;
      more = found.more;
      await Bun.sleep(pause_ms);
    }
  }
  await store.compact(await store.now(), { scrubs: true });
  return rewritten;
}

async function rewrite(store: Store, { key, value, revision }: StoredValue): Promise<void> {
  try {
    await store.update(key, value, revision);
  } catch (error) {
    // Written or deleted by somebody else since.
    if (!(error instanceof RevisionMismatchError)) throw error;
  }
}
