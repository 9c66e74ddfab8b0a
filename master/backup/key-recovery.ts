import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "#shared/client/log.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { parseJoinToken } from "#shared/pki/join-token.ts";
import { parseServiceAccountKeys } from "#shared/pki/service-account-key.ts";
import type { authorityFiles } from "../pki/cluster-authorities.ts";
import { parseEncryptionKeys } from "../store/encryption-keys.ts";
import { encryptionKeyFile } from "../store/store-choice.ts";

import { backupFolderOf, type RecoverySettings, readableBackups, StateLostError } from "./store-recovery.ts";

const authorityCertificate = "pki/ca.crt";
/** Can be made anew: it lets boards in, and those that are in need it no more. */
const joinToken = "token";

/** Throws when the text is not what such a file holds. */
const readers: Readonly<Record<string, (text: string) => unknown>> = {
  "pki/ca.crt": (text) => new X509Certificate(text),
  "pki/ca.key": createPrivateKey,
  "pki/front-proxy-ca.crt": (text) => new X509Certificate(text),
  "pki/front-proxy-ca.key": createPrivateKey,
  "pki/service-account.key": parseServiceAccountKeys,
  [encryptionKeyFile]: (text: string) => parseEncryptionKeys(text, encryptionKeyFile),
  [joinToken]: parseJoinToken,
} satisfies Record<`pki/${(typeof authorityFiles)[number]}`, (text: string) => unknown> & Record<string, unknown>;

/** Keys of the cluster that are there and cannot be read, or that are gone while others are there; by path below the data
 *  folder. A first start that was interrupted has only some of them, too: `isFirst` tells. */
async function brokenKeys(dataDir: string, isFirst: boolean, log: Log): Promise<string[]> {
  const broken: string[] = [];
  for (const [name, read] of Object.entries(readers)) {
    const text = await readIfPresent(join(dataDir, name));
    try {
      if (text !== undefined) read(text);
      else if (!isFirst && name !== joinToken) broken.push(name);
    } catch (error) {
      log.error("a key of the cluster cannot be read", { file: name, error });
      broken.push(name);
    }
  }
  return broken;
}

/** Puts keys that are damaged back from the newest whole backup of the same cluster; the damaged ones stay beside them.
 *  Rejects with StateLostError where there is none, or the policy is to stop. */
export async function ensureKeysWhole(settings: RecoverySettings, log: Log): Promise<void> {
  const { dataDir } = settings;
  const isFirst = !existsSync(join(dataDir, "store", "store.db.made"));
  const broken = await brokenKeys(dataDir, isFirst, log);
  if (broken.length === 0) return;
  log.error("keys of the cluster are damaged or gone", { files: broken.join(","), policy: settings.onCorruption });
  if (settings.onCorruption === "stop") throw keysLost(settings, broken);
  const authority = broken.includes(authorityCertificate)
    ? undefined
    : await readIfPresent(join(dataDir, authorityCertificate));
  for await (const { path, header } of readableBackups(settings, log)) {
    if (authority !== undefined && header.files[authorityCertificate] !== authority) continue;
    if (!broken.every((name) => header.files[name] !== undefined)) continue;
    for (const name of broken) await replace(join(dataDir, name), header.files[name] ?? "");
    log.error("keys were put back from a backup", { backup: path, files: broken.join(",") });
    return;
  }
  if (broken.length > 1 || broken[0] !== joinToken) throw keysLost(settings, broken);
  await rename(join(dataDir, joinToken), join(dataDir, `${joinToken}.damaged`));
  log.error("another join token is made: boards that are in need none");
}

/** One damaged file of a name is kept. */
async function replace(path: string, text: string): Promise<void> {
  if (existsSync(path)) await rename(path, `${path}.damaged`);
  await writeSecureFile(path, text, path.endsWith(".crt") ? 0o644 : 0o600);
}

const keysLost = (settings: RecoverySettings, broken: readonly string[]): StateLostError =>
  new StateLostError(
    `these files of ${settings.dataDir} are damaged or gone: ${broken.join(", ")}. Put them back from a backup of this cluster (\`bramble restore FILE\` on an empty --data-dir takes them out of one; ${backupFolderOf(settings)} is where they are made), then start the master. Pods go on meanwhile`,
  );
