import { existsSync, mkdirSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join, resolve } from "node:path";
import { stderrLog } from "#shared/client/log.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { version } from "#shared/version.ts";
import { readBackup, writeBackup } from "../backup/archive.ts";
import { readKeyFiles, restoreKeyFiles } from "../backup/key-files.ts";
import { backupName } from "../backup/schedule.ts";
import { backupFolderOf, buildNext } from "../backup/store-recovery.ts";
import { joinedSettings } from "../join/control-plane.ts";
import { queryStore } from "../store/admin.ts";
import { replaceBy, StoreDamagedError } from "../store/database-file.ts";
import { encryptedPrefixes } from "../store/encryption-keys.ts";
import { revisionMargin } from "../store/sqlite-salvage.ts";
import { databaseOf, encryptionKeyFile, openStore, parseStoreChoice } from "../store/store-choice.ts";
import { assertEmpty, fillStore, type StateItem, stateRoot } from "../store/transfer.ts";
import { UserError } from "./admin-client.ts";

const socketOf = ({ runDir }: MasterSettings): string => join(runDir, "store.sock");

/** `bramble backup`: the whole cluster into one file, through the running master, or from its store while it is stopped. */
export async function backup(given: MasterSettings, to: string | undefined): Promise<void> {
  const settings = await joinedSettings(given, stderrLog("warn"));
  const path = resolve(to ?? join(backupFolderOf(settings), backupName(new Date())));
  if (existsSync(path)) throw new UserError(`${path} is there already`);
  const files = await readKeyFiles(settings.dataDir);
  const items = await statePresent(settings);
  const revision = items.reduce((newest, item) => Math.max(newest, item.revision), 0);
  const header = { revision, madeAt: new Date().toISOString(), version, files };
  const count = await writeBackup(path, header, fromList(items));
  console.log(`${path}: ${count} objects, and the cluster's keys. Keep it as you keep a password`);
}

/** Through the master's socket while it runs. Else of etcd, and where a person's own keys are asked for, the store itself; of sqlite
 *  else what its file holds. */
async function statePresent(settings: MasterSettings): Promise<(StateItem & { readonly revision: number })[]> {
  const isEtcd = parseStoreChoice(settings.store).kind === "etcd";
  const isSealed = settings.encryptionProviderConfig !== "" && existsSync(databaseOf(settings));
  if ((isEtcd || isSealed) && !(await masterRuns(settings))) {
    const store = await openStore(settings, stderrLog("warn"));
    try {
      return [...(await store.list(stateRoot)).items];
    } finally {
      await store.close();
    }
  }
  const encryption = { keyFile: join(settings.dataDir, encryptionKeyFile), prefixes: encryptedPrefixes };
  const source = { socketPath: socketOf(settings), path: databaseOf(settings), encryption };
  return Array.fromAsync(queryStore(source, { key: stateRoot, prefix: true }));
}

async function* fromList(items: readonly StateItem[]): AsyncGenerator<StateItem> {
  yield* items;
}

/** `bramble restore`: a backup into an empty store, with the cluster's keys; the master starts from it. */
export async function restore(given: MasterSettings, from: string): Promise<void> {
  await assertStopped(given);
  const { header, state } = await readBackup(from);
  mkdirSync(given.dataDir, { recursive: true, mode: 0o700 });
  await restoreKeyFiles(given.dataDir, header.files);
  const settings = await joinedSettings(given, stderrLog("warn"));
  const after = header.revision + revisionMargin;
  const count =
    settings.store === "sqlite" ? await restoreFile(settings, after, state) : await fill(settings, after, state);
  console.log(
    `${count} objects of ${header.madeAt} are in ${settings.store}. Start the master (sudo systemctl start bramble-master): boards and pods come back to it`,
  );
}

async function fill(settings: MasterSettings, after: number, state: AsyncIterable<StateItem>): Promise<number> {
  const store = await openStore(settings, stderrLog("warn"), { after });
  try {
    await assertEmpty(store);
    return await fillStore(store, state);
  } finally {
    await store.close();
  }
}

/** The file takes its place when it is complete. A damaged store does not hinder: it is kept beside. */
async function restoreFile(settings: MasterSettings, after: number, state: AsyncIterable<StateItem>): Promise<number> {
  const path = databaseOf(settings);
  try {
    const store = await openStore(settings, stderrLog("warn"));
    const mend = `to go back to the backup, move ${dirname(path)} away first`;
    await assertEmpty(store, mend).finally(() => store.close());
  } catch (error) {
    if (!(error instanceof StoreDamagedError)) throw error;
  }
  const count = await buildNext(settings, path, after, state);
  replaceBy(path);
  return count;
}

async function assertStopped(settings: MasterSettings): Promise<void> {
  if (await masterRuns(settings))
    throw new UserError("the master runs: stop it first (systemctl stop bramble-master); pods go on");
}

/** Does this board's master run? */
export function masterRuns(settings: MasterSettings): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketOf(settings));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
