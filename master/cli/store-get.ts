import { join } from "node:path";
import { queryStore } from "../store/admin.ts";
import { encryptedPrefixes } from "../store/encryption-keys.ts";
import { databaseOf, encryptionKeyFile } from "../store/store-choice.ts";

export interface StoreGetOptions {
  readonly prefix?: boolean | undefined;
  readonly keysOnly?: boolean | undefined;
  readonly dataDir: string;
  readonly runDir: string;
}

/** Prints values (and keys, where several may come) to stdout. Gives the exit code: 1 where nothing was found. */
export async function storeGet(key: string, options: StoreGetOptions): Promise<number> {
  const { prefix = false, keysOnly = false, dataDir, runDir } = options;
  const files = {
    socketPath: join(runDir, "store.sock"),
    path: databaseOf({ dataDir }),
    encryption: { keyFile: join(dataDir, encryptionKeyFile), prefixes: encryptedPrefixes },
  };
  let found = false;
  for await (const value of queryStore(files, { key, prefix })) {
    found = true;
    if (prefix || keysOnly) process.stdout.write(`${value.key}\n`);
    if (!keysOnly) process.stdout.write(`${value.value}\n`);
  }
  if (!found) process.stderr.write(`nothing at ${key}\n`);
  return found ? 0 : 1;
}
