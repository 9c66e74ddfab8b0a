import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { allAuthorityFiles, authorityFiles } from "../pki/cluster-authorities.ts";
import { withFormerKeys } from "../store/encryption-keys.ts";
import { encryptionKeyFile } from "../store/store-choice.ts";
import { BackupError } from "./archive.ts";

const authority = "pki/ca.crt";

/** What makes a master one of this cluster, by path below the data folder. What it can make anew from these is not among it.
 *  Rejects with BackupError where there is no master. */
export async function readKeyFiles(dataDir: string): Promise<Record<string, string>> {
  if (!existsSync(join(dataDir, authority)))
    throw new BackupError(`${dataDir} holds no keys of a cluster: run this on a master as root`);
  const present = await readdir(join(dataDir, "pki"));
  const more = present.filter((name) => name.startsWith("encryption") || allAuthorityFiles.includes(name));
  const names = [...new Set([...authorityFiles, ...more])].map((name) => `pki/${name}`);
  const files: Record<string, string> = {};
  for (const name of names) files[name] = await readFile(join(dataDir, name), "utf8");
  const token = await readIfPresent(join(dataDir, "token"));
  if (token !== undefined) files["token"] = token;
  return files;
}

/** Puts them in place on a new machine, or finds that they are there; of the keys of the store, which may have been changed since, those
 *  that are not there any more are added. Rejects with BackupError for those of another cluster. */
export async function restoreKeyFiles(dataDir: string, files: Readonly<Record<string, string>>): Promise<void> {
  const present = await readIfPresent(join(dataDir, authority));
  if (present !== undefined) {
    if (present === files[authority]) return addStoreKeys(dataDir, files[encryptionKeyFile] ?? "");
    throw new BackupError(`${dataDir} holds the keys of another cluster. To restore here, move that folder away first`);
  }
  for (const name of Object.keys(files)) {
    if (name !== "token" && !/^pki\/[a-z0-9.-]+$/.test(name))
      throw new BackupError(`the backup names a strange file: ${name}`);
  }
  // The CA's certificate last: a start that finds it finds everything.
  const ordered = [...Object.keys(files).filter((name) => name !== authority), authority];
  for (const name of ordered) await writeSecureFile(join(dataDir, name), files[name] ?? "");
}

/** Values are written anew, but what the cluster keeps within a Secret is sealed as it was (pki/keys-seal.ts). */
async function addStoreKeys(dataDir: string, backedUp: string): Promise<void> {
  const path = join(dataDir, encryptionKeyFile);
  const present = await readIfPresent(path);
  const text = present === undefined ? backedUp : withFormerKeys(present, backedUp, path);
  if (text !== present) await writeSecureFile(path, text);
}
