import { join } from "node:path";
import { encryptedPrefixes } from "#master/store/encryption-keys.ts";
import { openSqliteStore } from "#master/store/sqlite-store.ts";
import type { Store } from "#master/store/store.ts";

/** A store as a master opens it, but with little history, and a short log, so that compactions, batches and
 *  checkpoints come often. Rejects with StoreDamagedError. */
export function openTestStore(folder: string): Promise<Store> {
  return openSqliteStore({
    path: join(folder, "store.db"),
    encryption: { keyFile: join(folder, "../pki/encryption.key"), prefixes: encryptedPrefixes },
    historyFor_ms: 100,
    mayStay: 20,
    maxHistory: 60,
    batchEvery_ms: 50,
    // About what a sync takes here, so that the disk is now slow and now fast.
    log: { part: 8, batch: 40, longest: 160, slow_ms: 0.3 },
  });
}

/** Up to some pages of the database, so that writes span several. */
export function valueFor(tag: string): string {
  const length = (Number.parseInt(Bun.hash(tag).toString(16).slice(0, 6), 16) % 9) ** 2 * 200;
  return JSON.stringify({ tag, fill: tag.repeat(Math.ceil(length / tag.length)) });
}

/** Throws when the value is not whole. */
export function tagOf(value: string): string {
  const { tag } = JSON.parse(value) as { tag: string };
  if (valueFor(tag) !== value) throw new Error(`the value of ${tag} is not as it was written`);
  return tag;
}
