import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "#shared/client/log.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { backup, restore } from "../cli/backup.ts";
import { moveStore } from "../cli/move-store.ts";
import { serveStoreAdmin } from "../store/admin.ts";
import { EtcdServers } from "../store/etcd/testing/etcd-server.ts";
import { CompactedError } from "../store/store.ts";
import { openStore } from "../store/store-choice.ts";
import { rejection, take } from "../store/store-contract.ts";
import { readBackup } from "./archive.ts";
import { backUp } from "./schedule.ts";
import { clusterIn, etcdFlags, settingsIn, stateOf } from "./testing/cluster-data.ts";

let folder: string;
let servers: EtcdServers;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bramble-backup-"));
  servers = await EtcdServers.start();
});
afterAll(async () => {
  await servers.stop();
  rmSync(folder, { recursive: true });
});

const settingsOf = (name: string, flags: Record<string, string> = {}): MasterSettings =>
  settingsIn(join(folder, name), flags);

describe("a backup", () => {
  test("of a running master is a cluster again on a new machine, above all revisions that were given out", async () => {
    const settings = settingsOf("first");
    const store = await clusterIn(settings);
    const admin = await serveStoreAdmin(store, join(settings.runDir, "store.sock"));
    const file = join(folder, "first.gz");
    await backup(settings, file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const [before, now] = [await stateOf(store), await store.now()];
    await expect(restore(settings, file)).rejects.toThrow("stop it first");
    await admin.stop();
    await store.close();

    const fresh = settingsOf("second");
    await restore(fresh, file);
    for (const name of ["pki/ca.key", "pki/service-account.key", "pki/encryption.key", "token"])
      expect(readFileSync(join(fresh.dataDir, name), "utf8")).toBe(readFileSync(join(settings.dataDir, name), "utf8"));
    const restored = await openStore(fresh, silentLog);
    expect(await stateOf(restored)).toEqual(before);
    expect(await restored.create("/registry/pods/default/new", "1")).toBeGreaterThan(now);
    // A client from before must list again: what was deleted since is in no history.
    expect(await rejection(take(restored, "/registry/pods/", now, 1))).toBeInstanceOf(CompactedError);
    await restored.close();
    await expect(restore(fresh, file)).rejects.toThrow(`move ${join(fresh.dataDir, "store")} away first`);
    await expect(restore(await keysOfAnother(), file)).rejects.toThrow("another cluster");
  });

  const keysOfAnother = async (): Promise<MasterSettings> => {
    const settings = settingsOf("another");
    await (await clusterIn(settings)).close();
    return settings;
  };

  test("that is cut short or damaged is not taken for a whole one", async () => {
    const whole = readFileSync(join(folder, "first.gz"));
    const cut = join(folder, "cut.gz");
    writeFileSync(cut, whole.subarray(0, whole.length - 200));
    await expect(
      (async () => {
        const { state } = await readBackup(cut);
        for await (const _ of state);
      })(),
    ).rejects.toThrow(/cut/);
    writeFileSync(cut, "no backup");
    await expect(readBackup(cut)).rejects.toThrow(`${cut} is no backup, or is damaged`);
  });

  test("is made by the clock, and only so many are kept", async () => {
    const settings = settingsOf("first");
    const store = await openStore(settings, silentLog);
    const backups = join(folder, "kept");
    for (let n = 0; n < 3; n += 1) {
      await backUp({ folder: backups, keep: 2, dataDir: settings.dataDir, store });
      await Bun.sleep(1_000);
    }
    expect(readdirSync(backups)).toHaveLength(2);
    await store.close();
  });
});

test("a cluster moves from sqlite to etcd and back, and its revisions only rise", async () => {
  const etcd = `etcd=${servers.endpoints.join(",")}`;
  const settings = settingsOf("moving", etcdFlags(servers));
  const store = await clusterIn(settings);
  const [before, first] = [await stateOf(store), await store.now()];
  await store.close();

  const config = join(settings.dataDir, "config.yaml");
  await moveStore(settings, etcd, config);
  expect(readFileSync(config, "utf8")).toContain(`store: ${etcd}`);
  expect(existsSync(join(settings.dataDir, "store/store.db"))).toBe(false);
  expect(servers.ctl("get", "/registry/pods/default/p1", "--print-value-only").trim()).toBe('{"n":1}');
  expect(servers.ctl("get", "/registry/secrets", "--prefix")).not.toContain("aHVudGVyMg");
  const onEtcd = { ...settings, store: etcd };
  const moved = await openStore(onEtcd, silentLog);
  expect(await stateOf(moved)).toEqual(before);
  expect(await rejection(take(moved, "/registry/pods/", first, 1))).toBeInstanceOf(CompactedError);
  const present = await moved.get("/registry/pods/default/p1");
  const second = await moved.update("/registry/pods/default/p1", "changed", present?.revision ?? 0);
  expect(second).toBeGreaterThan(first);
  expect(await take(moved, "/registry/pods/", second - 1, 1)).toMatchObject([{ revision: second, value: "changed" }]);
  const after = await stateOf(moved);
  await moved.close();

  await moveStore(onEtcd, "sqlite", config);
  expect(readFileSync(config, "utf8")).toContain("store: sqlite");
  const back = await openStore({ ...settings, store: "sqlite" }, silentLog);
  expect(await stateOf(back)).toEqual(after);
  expect(await back.create("/registry/pods/default/new", "1")).toBeGreaterThan(second);
  await back.close();
});
