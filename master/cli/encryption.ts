import { join } from "node:path";
import { HttpClient } from "#shared/client/http-client.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { hostPort } from "#shared/http/host-port.ts";
import { encryptionKeyPath } from "../join/encryption-key-path.ts";
import { rewriteThrough } from "../store/admin.ts";
import {
  dropFormerEncryptionKeys,
  parseEncryptionKeys,
  publishEncryptionKey,
  switchEncryptionKey,
} from "../store/encryption-keys.ts";
import { encryptionKeyFile } from "../store/store-choice.ts";
import { type AdminAccess, adminAccess, UserError } from "./admin-client.ts";
import { servingMasters } from "./serving-masters.ts";
import { SharedKeys } from "./shared-keys.ts";

/**
 * `bramble encryption rotate`: a new key for Secrets in the store. Each set of keys goes to all masters before the next one is
 * made, this master's own file last: ended at any point, the command goes on from there, and what rests in the store can be
 * read by every master at every point.
 */
export async function rotateEncryption(options: {
  readonly kubeconfig: string;
  readonly dataDir: string;
  readonly runDir: string;
}): Promise<void> {
  const access = adminAccess(options.kubeconfig);
  const path = join(options.dataDir, encryptionKeyFile);
  const read = async (): Promise<string> => {
    const text = await readIfPresent(path);
    if (text === undefined) throw new UserError(`${path} is not there: run this on a master as root`);
    return text;
  };
  const give = async (text: string): Promise<void> => {
    for (const server of await masters(access)) await put(access, server, text);
    await writeSecureFile(path, text);
  };
  let keys = parseEncryptionKeys(await read(), path);
  const changesKey = keys.stage !== "writing";
  if (keys.stage === "settled") {
    await give(publishEncryptionKey(keys));
    keys = parseEncryptionKeys(await read(), path);
    console.log("step 1 of 4: every master knows the new key");
  }
  if (keys.stage === "published") {
    // Once more: one may have come since.
    await give(await read());
    await give(switchEncryptionKey(keys));
    keys = parseEncryptionKeys(await read(), path);
    console.log("step 2 of 4: Secrets are written under the new key");
  }
  await give(await read());
  const count = await rewriteThrough(join(options.runDir, "store.sock"));
  await new SharedKeys(access.client, options.dataDir).sealAnew();
  console.log(`step 3 of 4: ${count} Secrets rest under the new key`);
  await give(dropFormerEncryptionKeys(keys));
  console.log("step 4 of 4: the former key is gone. Backups that were made before hold it still");
  // Of a change that was not finished, or of a backup from before a change.
  if (!changesKey)
    console.log("The key is the one that encrypted before: a former one was left. Run this again for a new key");
}

/** Every API server that serves, as `https://address:port`. */
async function masters({ client, server }: AdminAccess): Promise<string[]> {
  const usual = Number(new URL(server).port);
  const found = (await servingMasters(client)).map(({ address, port = usual }) => `https://${hostPort(address, port)}`);
  return found.length > 0 ? found : [server];
}

async function put({ config }: AdminAccess, server: string, keys: string): Promise<void> {
  const client = new HttpClient({ servers: [server], credentials: config.credentials });
  try {
    await client.raw({ method: "PUT", path: encryptionKeyPath, body: { keys } });
  } catch (error) {
    throw new UserError(
      `the master at ${server} did not take the keys: ${(error as Error).message}. Nothing is lost: run the command again when it serves`,
    );
  }
}
