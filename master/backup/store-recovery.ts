/** What a master does about a store or keys that are not as they were written: by policy, once, and never in a loop. */
import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Log, silentLog } from "#shared/client/log.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { nextOf, replaceBy, StoreDamagedError } from "../store/database-file.ts";
import { revisionMargin, type Salvage } from "../store/sqlite-salvage.ts";
import { salvageSqliteStore } from "../store/sqlite-store.ts";
import type { Store } from "../store/store.ts";
import { openStore, type StoreSettings } from "../store/store-choice.ts";
import { fillStore } from "../store/transfer.ts";
import { type BackupHeader, readBackup } from "./archive.ts";
import { BackupSealedError, type OpenedBackup, openBackup } from "./open-backup.ts";
import { isBackupName } from "./schedule.ts";

export interface RecoverySettings extends StoreSettings {
  /** When something on the disk is damaged: take the newest good backup, keep what can still be read, or do nothing
   *  until somebody has looked. */
  readonly onCorruption: MasterSettings["onCorruption"];
  readonly backupDir: string;
}

/** A person has to decide; starting again would not help, and service managers do not when a process ends with this
 *  status (EX_CONFIG of sysexits.h; named in systemd/). */
export class StateLostError extends Error {
  override readonly name = "UserError";
  readonly exitStatus = 78;
}

export const backupFolderOf = ({ backupDir, dataDir }: Pick<RecoverySettings, "backupDir" | "dataDir">): string =>
  backupDir || join(dataDir, "backups");

/** Opens the store; a damaged one is replaced as the policy says. Rejects with StateLostError where that gives nothing. */
export async function openStoreSafely(settings: RecoverySettings, log: Log): Promise<Store> {
  try {
    return await openStore(settings, log);
  } catch (error) {
    if (!(error instanceof StoreDamagedError)) throw error;
    log.error("the store is damaged", { path: error.path, what: error.what, policy: settings.onCorruption });
    await recover(settings, error, log);
    return openStore(settings, log);
  }
}

async function recover(settings: RecoverySettings, damage: StoreDamagedError, log: Log): Promise<void> {
  if (settings.onCorruption === "stop") throw await stateLost(settings, damage);
  const salvaged = await salvageSqliteStore(damage.path);
  if (salvaged.isWhole || settings.onCorruption === "salvage") {
    const old = replaceBy(damage.path);
    const lost = salvaged.isWhole ? (damage.isOlder ? "the newest changes" : "nothing") : "what was on damaged pages";
    log.error("the store was made anew from what can be read of it", { rows: salvaged.rows, lost, kept: old });
    return;
  }
  const restored = await restoreNewest(settings, damage.path, salvaged, log);
  if (!restored) throw await stateLost(settings, damage);
}

/** Puts the newest backup that is whole in the store's place. False when there is none. Rejects where keys for it are missing: with
 *  StateLostError, or with BackupSealedError as long as a key service does not answer. */
async function restoreNewest(settings: RecoverySettings, path: string, salvaged: Salvage, log: Log): Promise<boolean> {
  for (const backup of await backupsOf(settings)) {
    let opened: OpenedBackup | undefined;
    try {
      opened = await openBackup(settings, backup, log);
      const { header } = opened;
      const after = Math.max(header.revision, salvaged.newest) + revisionMargin;
      const count = await buildNext(settings, path, after, opened.state());
      const old = replaceBy(path);
      log.error("the cluster is as the newest good backup has it; later changes are lost", {
        backup,
        madeAt: header.madeAt,
        objects: count,
        kept: old,
      });
      return true;
    } catch (error) {
      // An older one would lose what this one holds, for want of a key.
      if (error instanceof BackupSealedError) throw error.mayPass ? error : new StateLostError(error.message);
      log.error("a backup cannot be used", { backup, error });
    } finally {
      opened?.close();
    }
  }
  return false;
}

/** Fills a new store beside the one at `path`, to take its place by `replaceBy`. Gives how many objects it holds. */
export async function buildNext(
  settings: StoreSettings,
  path: string,
  after: number,
  state: Parameters<typeof fillStore>[1],
): Promise<number> {
  const next = nextOf(path);
  for (const suffix of ["", "-wal", "-shm", ".made"]) await rm(next + suffix, { force: true });
  const store = await openStore(settings, silentLog, { after, path: next });
  try {
    return await fillStore(store, state);
  } finally {
    await store.close();
    await rm(`${next}.made`, { force: true });
  }
}

/** Newest first. */
async function backupsOf(settings: RecoverySettings): Promise<string[]> {
  const folder = backupFolderOf(settings);
  const names = existsSync(folder) ? await readdir(folder) : [];
  return names
    .filter(isBackupName)
    .sort()
    .reverse()
    .map((name) => join(folder, name));
}

async function stateLost(settings: RecoverySettings, damage: StoreDamagedError): Promise<StateLostError> {
  const [newest] = await backupsOf(settings);
  const advice = newest
    ? `The newest backup is ${newest}: \`bramble master --on-corruption restore\` takes it`
    : `There is no backup in ${backupFolderOf(settings)}`;
  return new StateLostError(
    `${damage.message}. ${advice}; --on-corruption salvage goes on with what can still be read. Pods go on meanwhile`,
  );
}

/** Headers of whole backups, newest first; those that cannot be read are named and passed over. */
export async function* readableBackups(
  settings: RecoverySettings,
  log: Log,
): AsyncGenerator<{ path: string; header: BackupHeader }> {
  for (const path of await backupsOf(settings)) {
    let header: BackupHeader;
    try {
      const read = await readBackup(path);
      for await (const _ of read.state);
      header = read.header;
    } catch (error) {
      // The next one may be whole.
      log.error("a backup cannot be used", { backup: path, error });
      continue;
    }
    yield { path, header };
  }
}
