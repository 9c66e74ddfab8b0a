import { isDeepStrictEqual } from "node:util";
import { version } from "#shared/version.ts";
import { ownKeyOf } from "../store/encryption/sealed-text.ts";
import type { StateItem } from "../store/transfer.ts";
import { BackupError, writeBackup } from "./archive.ts";
import { readKeyFiles } from "./key-files.ts";

/** A cluster's state with values as they rest. */
export interface RestingState {
  /** No revision that the cluster has given out is higher. */
  readonly revision: number;
  readonly items: AsyncIterable<StateItem>;
}

export interface MadeBackup {
  readonly objects: number;
  /** What opens some of them and is not in the backup, as `ownKeyOf` has it. */
  readonly ownKeys: readonly string[];
}

/** Enough for keys that are changed by hand. */
const ATTEMPTS = 5;

/** What was read last may rest under a key that was not read. */
class KeysChangedError extends BackupError {
  constructor() {
    super("the cluster's keys were changed while the backup was made: make it once they stay");
  }
}

/**
 * Writes a cluster into the file `path`. It holds values in the form in which they rest, so that whoever has the file reads no more of it
 * than whoever has the store; and none has to be opened for it, so that it is made also while a key service is away. Its keys are those
 * that the values rest under: where the cluster's own are changed meanwhile, it is begun anew.
 */
export async function makeBackup(
  path: string,
  dataDir: string,
  read: () => Promise<RestingState>,
): Promise<MadeBackup> {
  for (let attempt = 1; ; attempt += 1) {
    const files = await readKeyFiles(dataDir);
    const { revision, items } = await read();
    const ownKeys = new Set<string>();
    async function* state(): AsyncGenerator<StateItem> {
      for await (const item of items) {
        const own = ownKeyOf(item.value);
        if (own !== undefined) ownKeys.add(own);
        yield item;
      }
      if (!isDeepStrictEqual(files, await readKeyFiles(dataDir))) throw new KeysChangedError();
    }
    try {
      const objects = await writeBackup(path, { revision, madeAt: new Date().toISOString(), version, files }, state());
      return { objects, ownKeys: [...ownKeys].sort() };
    } catch (error) {
      if (!(error instanceof KeysChangedError) || attempt === ATTEMPTS) throw error;
    }
  }
}
