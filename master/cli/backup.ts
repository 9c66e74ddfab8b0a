import { existsSync, mkdirSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join, resolve } from "node:path";
import { stderrLog } from "#shared/client/log.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { BackupHeader } from "../backup/archive.ts";
import { restoreKeyFiles } from "../backup/key-files.ts";
import { makeBackup, type RestingState } from "../backup/make-backup.ts";
import { openBackup } from "../backup/open-backup.ts";
import { backupName } from "../backup/schedule.ts";
import { backupFolderOf, buildNext } from "../backup/store-recovery.ts";
import { joinedSettings } from "../join/control-plane.ts";
import { queryStore } from "../store/admin.ts";
import { replaceBy, StoreDamagedError } from "../store/database-file.ts";
import { revisionMargin } from "../store/sqlite-salvage.ts";
import type { StoredValue } from "../store/store.ts";
import { databaseOf, openStore, openStoreAsItRests, parseStoreChoice } from "../store/store-choice.ts";
import { assertEmpty, fillAnew, type StateItem, stateRoot } from "../store/transfer.ts";
import { UserError } from "./admin-client.ts";

const socketOf = ({ runDir }: MasterSettings): string => join(runDir, "store.sock");

/** `bramble backup`: the whole cluster into one file, through the running master, or from its store while it is stopped. */
export async function backup(given: MasterSettings, to: string | undefined): Promise<void> {
  const settings = await joinedSettings(given, stderrLog("warn"));
  const path = resolve(to ?? join(backupFolderOf(settings), backupName(new Date())));
  if (existsSync(path)) throw new UserError(`${path} is there already`);
  const { objects, ownKeys } = await makeBackup(path, settings.dataDir, () => statePresent(settings));
  console.log(`${path}: ${objects} objects, and the cluster's keys. Keep it as you keep a password`);
  if (ownKeys.length > 0)
    console.log(
      `A restore needs besides, since they are not in it: ${ownKeys.join(", ")}. Keep those in another place`,
    );
}

async function statePresent(settings: MasterSettings): Promise<RestingState> {
  const items = await itemsPresent(settings);
  const revision = items.reduce((newest, item) => Math.max(newest, item.revision), 0);
  return { revision, items: fromList(items) };
}

/** Through the master's socket while it runs. Else of etcd, or what the file of sqlite holds. */
async function itemsPresent(settings: MasterSettings): Promise<readonly StoredValue[]> {
  if (parseStoreChoice(settings.store).kind === "etcd" && !(await masterRuns(settings))) {
    const store = await openStoreAsItRests(settings, stderrLog("warn"));
    try {
      return (await store.list(stateRoot)).items;
    } finally {
      await store.close();
    }
  }
  const source = { socketPath: socketOf(settings), path: databaseOf(settings) };
  return Array.fromAsync(queryStore(source, { key: stateRoot, prefix: true, asItRests: true }));
}

async function* fromList(items: readonly StateItem[]): AsyncGenerator<StateItem> {
  yield* items;
}

/** `bramble restore`: a backup into an empty store, with the cluster's keys; the master starts from it. */
export async function restore(given: MasterSettings, from: string): Promise<void> {
  await assertStopped(given);
  const log = stderrLog("warn");
  const backup = await openBackup(given, from, log);
  try {
    const { header } = backup;
    mkdirSync(given.dataDir, { recursive: true, mode: 0o700 });
    await restoreKeyFiles(given.dataDir, header.files);
    const settings = await joinedSettings(given, log);
    const after = header.revision + revisionMargin;
    const put = settings.store === "sqlite" ? restoreFile : fill;
    const count = await put(settings, after, backup.state());
    tellRestored(settings, header, count);
  } finally {
    backup.close();
  }
}

const tellRestored = ({ store }: MasterSettings, { madeAt }: BackupHeader, count: number): void =>
  console.log(
    `${count} objects of ${madeAt} are in ${store}. Start the master (sudo systemctl start bramble-master): boards and pods come back to it`,
  );

async function fill(settings: MasterSettings, after: number, state: AsyncIterable<StateItem>): Promise<number> {
  const store = await openStore(settings, stderrLog("warn"), { after });
  try {
    return await fillAnew(store, state, async () => undefined);
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
