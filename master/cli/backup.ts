import { existsSync, mkdirSync } from "node:fs";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { stderrLog } from "#shared/client/log.ts";
import { type MasterSettings, masterOptions } from "#shared/config/settings.ts";
import { version } from "#shared/version.ts";
import { readBackup, writeBackup } from "../backup/archive.ts";
import { readKeyFiles, restoreKeyFiles } from "../backup/key-files.ts";
import { backupName } from "../backup/schedule.ts";
import { backupFolderOf, buildNext } from "../backup/store-recovery.ts";
import { joinedSettings } from "../join/control-plane.ts";
import { queryStore } from "../store/admin.ts";
import { replaceBy, StoreDamagedError, setAside } from "../store/database-file.ts";
import { encryptedPrefixes } from "../store/encryption-keys.ts";
import { revisionMargin } from "../store/sqlite-salvage.ts";
import type { Store } from "../store/store.ts";
import { databaseOf, encryptionKeyFile, openStore, parseStoreChoice } from "../store/store-choice.ts";
import { assertEmpty, fillStore, type StateItem, stateRoot, wholeState } from "../store/transfer.ts";
import { UserError } from "./admin-client.ts";

const socketOf = ({ runDir }: MasterSettings): string => join(runDir, "store.sock");

/** `bramble backup`: the whole cluster into one file, through the running master, or from its store while it is stopped. */
export async function backup(given: MasterSettings, to: string | undefined): Promise<void> {
  const settings = await joinedSettings(given, stderrLog("warn"));
  const path = resolve(to ?? join(backupFolderOf(settings), backupName(new Date())));
  if (existsSync(path)) throw new UserError(`${path} is there already`);
  const files = await readKeyFiles(settings.dataDir);
  const items = await statePresent(settings);
  const revision = Math.max(0, ...items.map((item) => item.revision));
  const header = { revision, madeAt: new Date().toISOString(), version, files };
  const count = await writeBackup(path, header, fromList(items));
  console.log(`${path}: ${count} objects, and the cluster's keys. Keep it as you keep a password`);
}

/** Through the master's socket while it runs; of sqlite else the file, of etcd else etcd itself. */
async function statePresent(settings: MasterSettings): Promise<(StateItem & { readonly revision: number })[]> {
  const isEtcd = parseStoreChoice(settings.store).kind === "etcd";
  if (isEtcd && !(await masterRuns(settings))) {
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
    `${count} objects of ${header.madeAt} are in ${settings.store}. Start the master: boards and pods come back to it`,
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
    await assertEmpty(store).finally(() => store.close());
  } catch (error) {
    if (!(error instanceof StoreDamagedError)) throw error;
  }
  const count = await buildNext(settings, path, after, state);
  replaceBy(path);
  return count;
}

const otherMasters_ms = 12_000;

/** `bramble store move`: from sqlite to etcd or back, while the masters are stopped. The old store stays, out of the way. */
export async function moveStore(given: MasterSettings, to: string): Promise<void> {
  await assertStopped(given);
  const log = stderrLog("warn");
  const settings = await joinedSettings(given, log);
  if (settings.store !== given.store) {
    throw new UserError("this master takes its settings from the one that it joined: run the command there");
  }
  const next: MasterSettings = { ...settings, store: to };
  const [fromKind, toKind] = [settings.store, next.store].map((text) => parseStoreChoice(text).kind);
  if (fromKind === toKind)
    throw new UserError(`the cluster's state rests in ${settings.store} already; move it to another kind of store`);
  if (fromKind === "sqlite" && !existsSync(databaseOf(settings)))
    throw new UserError(`there is no store at ${databaseOf(settings)}`);
  const old = await openStore(settings, log);
  try {
    if (old.isShared) await assertQuiet(old);
    const target = await openStore(next, log, { after: (await old.now()) + revisionMargin });
    try {
      await assertEmpty(target);
      const count = await fillStore(target, wholeState(old));
      console.log(`${count} objects were moved from ${settings.store} to ${next.store}`);
    } finally {
      await target.close();
    }
  } finally {
    await old.close();
  }
  // A master that is started with the old settings by mistake must not go on from the old state.
  if (fromKind === "sqlite") console.log(`the old store is kept as ${setAside(databaseOf(settings), ".moved-")}`);
  console.log(settingsToKeep(next));
}

/** Of etcd, other masters may still be writing. */
async function assertQuiet(store: Store): Promise<void> {
  const before = await store.now();
  await Bun.sleep(otherMasters_ms);
  if ((await store.now()) !== before)
    throw new UserError("masters still write to etcd: stop bramble-master on every one of them first");
}

function settingsToKeep(next: MasterSettings): string {
  const lines = [`store: ${next.store}`];
  const files = [masterOptions.etcdCafile, masterOptions.etcdCertfile, masterOptions.etcdKeyfile];
  const values = [next.etcdCafile, next.etcdCertfile, next.etcdKeyfile];
  if (next.store.includes("="))
    for (const [index, { name }] of files.entries()) lines.push(`${name}: ${values[index]}`);
  return `put this into /etc/bramble/config.yaml, then start the master:\n${lines.map((line) => `  ${line}`).join("\n")}`;
}

async function assertStopped(settings: MasterSettings): Promise<void> {
  if (await masterRuns(settings))
    throw new UserError("the master runs: stop it first (systemctl stop bramble-master); pods go on");
}

function masterRuns(settings: MasterSettings): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketOf(settings));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
