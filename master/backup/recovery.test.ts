import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LogFields, silentLog } from "#shared/client/log.ts";
import { loadSettings } from "#shared/config/load.ts";
import { type MasterSettings, masterOptions } from "#shared/config/settings.ts";
import { ensureMasterPki } from "../pki/master-pki.ts";
import { databaseOf, openStore } from "../store/store-choice.ts";
import { rejection } from "../store/store-contract.ts";
import { ensureKeysWhole } from "./key-recovery.ts";
import { backUp, isBackupName } from "./schedule.ts";
import { backupFolderOf, openStoreSafely, StateLostError } from "./store-recovery.ts";

const root = mkdtempSync(join(tmpdir(), "bramble-recovery-"));
afterAll(() => rmSync(root, { recursive: true }));

let made = 0;
const settingsOf = (flags: Record<string, string> = {}): MasterSettings => {
  const folder = join(root, String(made++));
  return loadSettings(masterOptions, { "data-dir": folder, "run-dir": folder, ...flags }, undefined) as MasterSettings;
};

const pki = (settings: MasterSettings) =>
  ensureMasterPki({
    dataDir: settings.dataDir,
    kubeconfigPath: join(settings.dataDir, "kubeconfig.yaml"),
    server: "https://127.0.0.1:6443",
    names: { hostNames: [], addresses: [], extra: [], serviceIp: "10.43.0.1", clusterDomain: "cluster.local" },
  });

const key = (n: number): string => `/registry/configmaps/default/c${String(n).padStart(3, "0")}`;

/** A cluster with 200 objects in a backup, and one more that is in none. Gives the highest revision. */
async function cluster(settings: MasterSettings, hasBackup = true): Promise<number> {
  await pki(settings);
  const store = await openStore(settings, silentLog);
  for (let n = 0; n < 200; n++) await store.create(key(n), JSON.stringify({ n, fill: "x".repeat(2_000) }));
  if (hasBackup) await backUp({ folder: backupFolderOf(settings), keep: 5, dataDir: settings.dataDir, store });
  const revision = await store.create("/registry/configmaps/default/later", "{}");
  await store.close();
  return revision;
}

function overwrite(path: string, from: number, to: number): void {
  const content = readFileSync(path);
  writeFileSync(path, content.fill(0, Math.floor(content.length * from), Math.floor(content.length * to)));
}

const keysIn = async (settings: MasterSettings): Promise<string[]> => {
  const store = await openStoreSafely(settings, silentLog);
  const { items } = await store.list("/registry/configmaps/");
  await store.close();
  return items.map((item) => item.key);
};

const damaged = (settings: MasterSettings): string[] =>
  readdirSync(join(settings.dataDir, "store")).filter((name) => /damaged-[0-9TZ]+$/.test(name));

describe("a store that is damaged", () => {
  test.each([
    ["overwritten pages", (path: string) => overwrite(path, 0.4, 0.6)],
    ["its first page overwritten", (path: string) => overwrite(path, 0, 0.01)],
    ["cut short", (path: string) => truncateSync(path, statSync(path).size >> 1)],
    ["empty", (path: string) => truncateSync(path, 0)],
    ["gone", (path: string) => rmSync(path)],
  ])("is as the newest good backup has it: %s", async (_, damage) => {
    const settings = settingsOf();
    const revision = await cluster(settings);
    // A newer backup that was cut short is none.
    writeFileSync(join(backupFolderOf(settings), "bramble-29990101T000000Z.backup.gz"), "half");
    damage(databaseOf(settings));
    expect(await keysIn(settings)).toEqual(Array.from({ length: 200 }, (_, n) => key(n)));
    const store = await openStore(settings, silentLog);
    expect(await store.create("/registry/configmaps/default/next", "{}")).toBeGreaterThan(revision);
    await store.close();
  });

  test("keeps everything where only its order is damaged", async () => {
    const settings = settingsOf();
    await cluster(settings);
    const { Database } = await import("bun:sqlite");
    const db = new Database(databaseOf(settings));
    db.exec("DELETE FROM current WHERE key LIKE '%c00%'; PRAGMA wal_checkpoint(TRUNCATE)");
    const page = db
      .query<{ page: number }, []>("SELECT rootpage AS page FROM sqlite_master WHERE name = 'current'")
      .get();
    db.close();
    const content = readFileSync(databaseOf(settings));
    content.fill(0xff, ((page?.page ?? 0) - 1) * 4096, (page?.page ?? 0) * 4096);
    writeFileSync(databaseOf(settings), content);
    expect(await keysIn(settings)).toHaveLength(201);
    expect(damaged(settings)).toHaveLength(1);
  });

  test("goes on with what can be read where the policy says so", async () => {
    const settings = settingsOf({ "on-corruption": "salvage" });
    await cluster(settings);
    overwrite(databaseOf(settings), 0.5, 0.55);
    const keys = await keysIn(settings);
    expect(keys.length).toBeGreaterThan(100);
    expect(keys).toContain("/registry/configmaps/default/later");
  });

  test.each([
    ["the policy is to stop", { "on-corruption": "stop" }, true],
    ["there is no backup", {}, false],
  ] as const)("is left alone, and it is said what to do, when %s", async (_, flags, hasBackup) => {
    const settings = settingsOf(flags);
    await cluster(settings, hasBackup);
    overwrite(databaseOf(settings), 0.4, 0.6);
    const before = readFileSync(databaseOf(settings));
    const error = await rejection(openStoreSafely(settings, silentLog));
    expect(error).toBeInstanceOf(StateLostError);
    expect((error as StateLostError).exitStatus).toBe(78);
    expect((error as Error).message).toContain(hasBackup ? "--on-corruption restore" : "There is no backup");
    expect(readFileSync(databaseOf(settings)).equals(before)).toBe(true);
    expect(damaged(settings)).toEqual([]);
  });

  test("goes on from before a damaged piece of its log", async () => {
    const settings = settingsOf();
    await cluster(settings, false);
    const running = await openStore(settings, silentLog);
    for (let n = 0; n < 20; n++) await running.create(`/registry/configmaps/x/c${n}`, "{}");
    const highest = await running.now();
    // As a cut leaves it: the log is not folded in.
    const copy = settingsOf();
    mkdirSync(join(copy.dataDir, "store"), { recursive: true });
    for (const suffix of ["", "-wal", ".made"])
      writeFileSync(databaseOf(copy) + suffix, readFileSync(databaseOf(settings) + suffix));
    for (const name of ["encryption.key"]) {
      mkdirSync(join(copy.dataDir, "pki"), { recursive: true });
      writeFileSync(join(copy.dataDir, "pki", name), readFileSync(join(settings.dataDir, "pki", name)));
    }
    await running.close();
    overwrite(`${databaseOf(copy)}-wal`, 0.5, 0.55);
    const keys = await keysIn(copy);
    expect(keys.length).toBeGreaterThanOrEqual(201);
    expect(keys.length).toBeLessThan(221);
    const store = await openStore(copy, silentLog);
    expect(await store.create("/registry/configmaps/default/next", "{}")).toBeGreaterThan(highest);
    await store.close();
  });
});

describe("keys that are damaged", () => {
  test.each(["ca.key", "ca.crt", "service-account.key", "encryption.key", "front-proxy-ca.crt"])(
    "come back from a backup: %s",
    async (name) => {
      const settings = settingsOf();
      await cluster(settings);
      const path = join(settings.dataDir, "pki", name);
      const before = readFileSync(path, "utf8");
      for (const content of [Buffer.alloc(before.length), undefined]) {
        if (content) writeFileSync(path, content);
        else rmSync(path);
        await ensureKeysWhole(settings, silentLog);
        expect(readFileSync(path, "utf8")).toBe(before);
      }
      expect(existsSync(`${path}.damaged`)).toBe(true);
      await pki(settings);
    },
  );

  test("a newer backup that is damaged is named, and the next one serves", async () => {
    const settings = settingsOf();
    await cluster(settings);
    const path = join(settings.dataDir, "pki/ca.key");
    const before = readFileSync(path, "utf8");
    writeFileSync(path, Buffer.alloc(200));
    const [whole = ""] = readdirSync(backupFolderOf(settings)).filter(isBackupName);
    const damaged = whole.replace(/\d{4}/, "9999");
    expect(isBackupName(damaged)).toBe(true);
    writeFileSync(join(backupFolderOf(settings), damaged), "no backup");
    const said: string[] = [];
    const note = (message: string, { backup, file }: LogFields = {}): void =>
      void said.push(`${message}: ${backup ?? file}`);
    await ensureKeysWhole(settings, { ...silentLog, error: note });
    expect(readFileSync(path, "utf8")).toBe(before);
    expect(said).toContain("a key of the cluster cannot be read: pki/ca.key");
    expect(said).toContain(`a backup cannot be used: ${join(backupFolderOf(settings), damaged)}`);
  });

  test("without a backup the master stops and says which", async () => {
    const settings = settingsOf();
    await cluster(settings, false);
    writeFileSync(join(settings.dataDir, "pki/ca.key"), Buffer.alloc(200));
    const error = await rejection(ensureKeysWhole(settings, silentLog));
    expect(error).toBeInstanceOf(StateLostError);
    expect((error as Error).message).toContain("pki/ca.key");
  });

  test("a join token, and certificates that the master can issue, are made anew", async () => {
    const settings = settingsOf();
    await cluster(settings, false);
    for (const name of ["token", "pki/apiserver.pem", "pki/kubelet-client.pem", "kubeconfig.yaml"])
      writeFileSync(join(settings.dataDir, name), Buffer.alloc(500));
    writeFileSync(
      join(settings.dataDir, "pki/front-proxy-client.pem"),
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    await ensureKeysWhole(settings, silentLog);
    const { certificates } = await pki(settings);
    expect(certificates.serving.certificatePem).toContain("BEGIN CERTIFICATE");
  });

  test("a first start that was interrupted is none of it", async () => {
    const settings = settingsOf();
    await pki(settings);
    rmSync(join(settings.dataDir, "pki/service-account.key"));
    await ensureKeysWhole(settings, silentLog);
  });
});
