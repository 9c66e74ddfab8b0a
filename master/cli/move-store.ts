/** `bramble store move`: the cluster's state from sqlite to etcd or back. */
import { existsSync, readFileSync, renameSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Log, stderrLog } from "#shared/client/log.ts";
import { keepSettings } from "#shared/config/keep.ts";
import { type MasterSettings, masterOptions } from "#shared/config/settings.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { endProgram } from "#shared/process/end-program.ts";
import { type BoardService, serviceOf } from "#shared/process/service.ts";
import { buildNext } from "../backup/store-recovery.ts";
import { etcdPaths } from "../etcd/files.ts";
import { joinedSettings, settingsFile } from "../join/control-plane.ts";
import { replaceBy, setAside } from "../store/database-file.ts";
import { revisionMargin } from "../store/sqlite-salvage.ts";
import type { Store } from "../store/store.ts";
import { databaseOf, isOwnEtcd, openStore, parseStoreChoice } from "../store/store-choice.ts";
import { fillAnew, wholeState } from "../store/transfer.ts";
import { UserError } from "./admin-client.ts";
import { masterRuns } from "./backup.ts";
import { awaitMember, otherMembers } from "./etcd.ts";

const otherMasters_ms = 12_000;
const member_s = 120;
const installer = "/usr/local/share/bramble/install.sh";
const serviceFlags = "/etc/bramble/master.env";

/**
 * Moves the state and the setting in `configFile`. A master that is a service is stopped for it, and started again, also
 * where the move fails: its state is then where it was. Pods go on. The old store stays, out of the way.
 */
export async function moveStore(given: MasterSettings, to: string, configFile: string): Promise<void> {
  const log = stderrLog("warn");
  const settings = await joinedSettings(given, log);
  const next: MasterSettings = { ...settings, store: to };
  const service = serviceOf("master");
  await assertMovable(settings, next, service);
  const wasRunning = service !== undefined && (await masterRuns(settings));
  if (isOwnEtcd(to)) await startMember(next);
  try {
    if (wasRunning) service.stop();
    await move(settings, next, log, () => keepChoice(next, configFile));
  } catch (error) {
    if (isOwnEtcd(to)) serviceOf("etcd")?.disable();
    throw error;
  } finally {
    if (wasRunning) service.start();
  }
  console.log(wasRunning ? "the master is started" : "start the master: boards and pods come back to it");
}

async function assertMovable(
  settings: MasterSettings,
  next: MasterSettings,
  service: BoardService | undefined,
): Promise<void> {
  const [fromKind, toKind] = [settings.store, next.store].map((text) => parseStoreChoice(text).kind);
  if (fromKind === toKind)
    throw new UserError(`the cluster's state rests in ${settings.store} already; move it to another kind of store`);
  if (fromKind === "sqlite" && !existsSync(databaseOf(settings)))
    throw new UserError(`there is no store at ${databaseOf(settings)}`);
  if (!service && (await masterRuns(settings))) throw new UserError("the master runs: stop it first; pods go on");
  if (service && existsSync(serviceFlags) && / *--store\b/.test(readFileSync(serviceFlags, "utf8")))
    throw new UserError(`${serviceFlags} names --store, which would win: take it out, and run the command again`);
  if (settings.asPods && (isOwnEtcd(settings.store) || isOwnEtcd(next.store)))
    throw new UserError("with --as-pods etcd is a pod: start the master without it, and run the command again");
  if (isOwnEtcd(settings.store)) {
    const others = await otherMembers(settings.dataDir);
    if (others.length > 0)
      throw new UserError(
        `other masters share this etcd (${others.join(", ")}): run \`bramble master leave\` on each of them first`,
      );
  }
}

/** The member that is to take the state over; a cluster of one. */
async function startMember(next: MasterSettings): Promise<void> {
  if (Bun.which("etcd") === null && existsSync(installer)) {
    const { exitCode } = Bun.spawnSync({ cmd: ["sh", installer, "etcd"], stdio: ["ignore", "inherit", "inherit"] });
    if (exitCode !== 0) throw new UserError("etcd could not be installed; nothing was moved");
  }
  serviceOf("etcd")?.enable();
  await awaitMember(next, member_s);
}

async function move(
  settings: MasterSettings,
  next: MasterSettings,
  log: Log,
  keepChoice: () => Promise<void>,
): Promise<void> {
  const old = await openStore(settings, log);
  let count: number;
  try {
    if (old.isShared) await assertQuiet(old);
    const after = (await old.now()) + revisionMargin;
    const fill = next.store === "sqlite" ? fillFile : fillEtcd;
    count = await fill({ next, after, old, log, keepChoice });
  } finally {
    await old.close();
  }
  console.log(`${count} objects were moved from ${settings.store} to ${next.store}`);
  // A master that is started with the old settings by mistake must not go on from the old state.
  const kept = settings.store === "sqlite" ? setAside(databaseOf(settings), ".moved-") : await setEtcdAside(settings);
  if (kept !== undefined) console.log(`the old store is kept as ${kept}`);
}

interface Filling {
  readonly next: MasterSettings;
  /** Revisions go on after this one. */
  readonly after: number;
  readonly old: Store;
  readonly log: Log;
  readonly keepChoice: () => Promise<void>;
}

/** The file takes its place when it is complete. */
async function fillFile({ next, after, old, keepChoice }: Filling): Promise<number> {
  const count = await buildNext(next, databaseOf(next), after, wholeState(old));
  replaceBy(databaseOf(next));
  await keepChoice();
  return count;
}

async function fillEtcd({ next, after, old, log, keepChoice }: Filling): Promise<number> {
  const target = await openStore(next, log, { after });
  try {
    return await fillAnew(target, wholeState(old), keepChoice);
  } finally {
    await target.close();
  }
}

/** Of etcd, other masters may still be writing. */
async function assertQuiet(store: Store): Promise<void> {
  const before = await store.now();
  await Bun.sleep(otherMasters_ms);
  if ((await store.now()) !== before)
    throw new UserError("masters still write to etcd: stop bramble-master on every one of them first");
}

/** Gives where its folder is now; undefined for an etcd that others run. */
async function setEtcdAside({ store, dataDir, runDir }: MasterSettings): Promise<string | undefined> {
  if (!isOwnEtcd(store)) return undefined;
  await endProgram("etcd", runDir);
  const folder = join(dataDir, "etcd");
  const kept = `${folder}.moved-${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}`;
  renameSync(folder, kept);
  await rm(join(dataDir, etcdPaths.members), { force: true });
  return kept;
}

/** Into the file of settings, and into what this master may have taken over from another. */
async function keepChoice(next: MasterSettings, configFile: string): Promise<void> {
  const files = [masterOptions.etcdCafile, masterOptions.etcdCertfile, masterOptions.etcdKeyfile];
  const values = [next.etcdCafile, next.etcdCertfile, next.etcdKeyfile];
  const paths = next.store.includes("=") ? files.map(({ name }, index) => [name, values[index] ?? ""]) : [];
  await keepSettings(configFile, Object.fromEntries([["store", next.store], ...paths]));
  const path = join(next.dataDir, settingsFile);
  const shared = await readIfPresent(path);
  if (shared === undefined) return;
  const changed = { ...(JSON.parse(shared) as Record<string, string>), store: next.store };
  await writeSecureFile(path, `${JSON.stringify(changed, undefined, 2)}\n`);
}
