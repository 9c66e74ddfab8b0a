/** What a backup gives to whoever has the file alone, and what a restore of it needs. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { silentLog } from "#shared/client/log.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { backup, restore } from "../cli/backup.ts";
import { serveStoreAdmin } from "../store/admin.ts";
import { KmsPluginProcess } from "../store/encryption/testing/plugin-process.ts";
import { parseEncryptionKeys, publishEncryptionKey, switchEncryptionKey } from "../store/encryption-keys.ts";
import { EtcdServers } from "../store/etcd/testing/etcd-server.ts";
import { rewriteValues } from "../store/rewrite.ts";
import type { Store } from "../store/store.ts";
import { databaseOf, openStore } from "../store/store-choice.ts";
import { rejection } from "../store/store-contract.ts";
import { backUp } from "./schedule.ts";
import { openStoreSafely, StateLostError } from "./store-recovery.ts";
import { clusterIn, etcdFlags, secretTexts, settingsIn, stateOf } from "./testing/cluster-data.ts";

let folder: string;
let plugin: KmsPluginProcess;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bramble-sealed-"));
  plugin = new KmsPluginProcess();
  await plugin.start();
});
afterAll(async () => {
  await plugin.remove();
  rmSync(folder, { recursive: true });
});

let made = 0;
const settingsOf = (flags: Record<string, string> = {}): MasterSettings =>
  settingsIn(join(folder, String(made++)), flags);

const keyOf = (name: string) => ({ name, secret: Buffer.alloc(32, name).toString("base64") });
const local = (...names: string[]): object => ({ secretbox: { keys: names.map(keyOf) } });
const kms = (): object => ({ kms: { apiVersion: "v2", name: "vault", endpoint: plugin.endpoint } });

/** Flags for a file that has these providers for Secrets. */
function sealedBy(...providers: object[]): Record<string, string> {
  const path = join(folder, `encryption-${made++}.yaml`);
  const kind = { apiVersion: "apiserver.config.k8s.io/v1", kind: "EncryptionConfiguration" };
  writeFileSync(path, JSON.stringify({ ...kind, resources: [{ resources: ["secrets"], providers }] }));
  return { "encryption-provider-config": path };
}

const linesOf = (path: string): string[] => gunzipSync(readFileSync(path)).toString("utf8").trimEnd().split("\n");

function expectSealed(path: string): void {
  const lines = linesOf(path);
  expect(lines.some((line) => line.includes("/registry/secrets/default/s"))).toBe(true);
  for (const line of lines) for (const text of secretTexts) expect(line).not.toContain(text);
}

const byTheClockIn = ({ dataDir }: MasterSettings) => ({ folder: join(dataDir, "backups"), keep: 5, dataDir });

/** Backs up a cluster, running and stopped and by the clock; gives the last file and what the store held. */
async function backedUp(settings: MasterSettings): Promise<{ file: string; before: string[] }> {
  const file = (name: string): string => join(settings.dataDir, `${name}.gz`);
  const store = await clusterIn(settings);
  const admin = await serveStoreAdmin(store, join(settings.runDir, "store.sock"));
  const before = await stateOf(store);
  await backup(settings, file("running"));
  const { path } = await backUp({ ...byTheClockIn(settings), store });
  await admin.stop();
  await store.close();
  await backup(settings, file("stopped"));
  for (const each of [file("running"), path, file("stopped")]) expectSealed(each);
  return { file: file("stopped"), before };
}

async function within<T>(settings: MasterSettings, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(settings, silentLog);
  return work(store).finally(() => store.close());
}

const stateIn = (settings: MasterSettings): Promise<string[]> => within(settings, stateOf);

const nothingIn = ({ dataDir }: MasterSettings): boolean => !existsSync(dataDir) || readdirSync(dataDir).length === 0;

describe("a backup of Secrets that rest encrypted", () => {
  test("by the cluster's own key does not show them, and is a cluster again elsewhere", async () => {
    const { file, before } = await backedUp(settingsOf());
    const fresh = settingsOf();
    await restore(fresh, file);
    expect(await stateIn(fresh)).toEqual(before);
  });

  test("by the cluster's own key serves also after that was changed", async () => {
    const settings = settingsOf();
    const { file, before } = await backedUp(settings);
    const path = join(settings.dataDir, "pki/encryption.key");
    const [former] = readFileSync(path, "utf8").split("\n");
    for (const step of [publishEncryptionKey, switchEncryptionKey])
      writeFileSync(path, step(parseEncryptionKeys(readFileSync(path, "utf8"), path)));
    const [present = ""] = readFileSync(path, "utf8").split("\n");
    writeFileSync(path, `${present}\n`);
    rmSync(join(settings.dataDir, "store"), { recursive: true });
    await restore(settings, file);
    expect(readFileSync(path, "utf8")).toBe(`${present}\nformer ${former}\n`);
    expect(await stateIn(settings)).toEqual(before);
    writeFileSync(path, `${present}\n`);
    expect(await stateIn(settings)).toEqual(before);
  });

  test("by a key of a person's own is restored with it, also as a former one, and refused without", async () => {
    const { file, before } = await backedUp(settingsOf(sealedBy(local("a"))));
    for (const flags of [sealedBy(local("a")), sealedBy(local("b", "a")), sealedBy({ identity: {} }, local("a"))]) {
      const fresh = settingsOf(flags);
      await restore(fresh, file);
      expect(await stateIn(fresh)).toEqual(before);
    }
    for (const [flags, said] of [
      [{}, "--encryption-provider-config"],
      [sealedBy(local("b")), "put it back there"],
      [sealedBy({ secretbox: { keys: [{ ...keyOf("b"), name: "a" }] } }), "put it back there"],
    ] as const) {
      const fresh = settingsOf(flags);
      const { message } = (await rejection(restore(fresh, file))) as Error;
      expect(message).toContain(`${file} holds values that are encrypted by the key a of secretbox`);
      expect(message).toContain(said);
      expect(nothingIn(fresh)).toBe(true);
    }
  });

  test("by a key service is made while that is away, and restored when it is there", async () => {
    const settings = settingsOf(sealedBy(kms()));
    const { file, before } = await backedUp(settings);
    await plugin.kill();
    rmSync(file);
    await backup(settings, file);
    expectSealed(file);
    const fresh = settingsOf(sealedBy(kms()));
    const { message } = (await rejection(restore(fresh, file))) as Error;
    expect(message).toContain("encrypted by the key service vault (/registry/secrets/default/s), which does not open");
    expect(nothingIn(fresh)).toBe(true);
    // Its key was changed since; it opens what rests under the former one.
    await plugin.start({ keyId: "key-2" });
    await restore(fresh, file);
    expect(await stateIn(fresh)).toEqual(before);
  });

  test("moves into etcd and out of it", async () => {
    const servers = await EtcdServers.start();
    try {
      const flags = { ...etcdFlags(servers), store: `etcd=${servers.endpoints.join(",")}` };
      const { file, before } = await backedUp(settingsOf());
      const onEtcd = settingsOf(flags);
      await restore(onEtcd, file);
      expect(await stateIn(onEtcd)).toEqual(before);
      const byTheClock = await within(onEtcd, (store) => backUp({ ...byTheClockIn(onEtcd), store }));
      expectSealed(byTheClock.path);
      const again = join(folder, "from-etcd.gz");
      await backup(onEtcd, again);
      expectSealed(again);
      for (const each of [byTheClock.path, again]) {
        const back = settingsOf(sealedBy(local("b")));
        await restore(back, each);
        expect(await stateIn(back)).toEqual(before);
      }
      await expect(restore(settingsOf(flags), again)).rejects.toThrow("must be empty");
    } finally {
      await servers.stop();
    }
  });

  test("of an earlier version, in plain text, is restored as well", async () => {
    const settings = settingsOf();
    const { file, before } = await backedUp(settings);
    const [header = "", ...rest] = linesOf(file);
    const items = before.map((item) => /^(\S+) (.*)$/s.exec(item)?.slice(1) ?? []);
    const plain = items.map(([key, value]) => JSON.stringify({ key, value }));
    const old = join(folder, "old.gz");
    const first = header.replace("bramble-backup/2", "bramble-backup/1");
    expect(first).not.toBe(header);
    writeFileSync(old, gzipSync([first, ...plain, rest.at(-1), ""].join("\n")));
    for (const flags of [{}, sealedBy(local("a"))]) {
      const fresh = settingsOf(flags);
      await restore(fresh, old);
      expect(await stateIn(fresh)).toEqual(before);
      const again = join(fresh.dataDir, "again.gz");
      await backup(fresh, again);
      expectSealed(again);
    }
  });

  test("is begun anew where the cluster's own key is changed meanwhile", async () => {
    const settings = settingsOf();
    const store = await clusterIn(settings);
    const path = join(settings.dataDir, "pki/encryption.key");
    let lists = 0;
    const changing: Store = Object.assign(Object.create(store) as Store, {
      now: () => store.now(),
      list: async (...args: Parameters<Store["list"]>) => {
        lists += 1;
        if (lists === 1) {
          for (const step of [publishEncryptionKey, switchEncryptionKey])
            writeFileSync(path, step(parseEncryptionKeys(readFileSync(path, "utf8"), path)));
          await rewriteValues(store, ["/registry/secrets/"]);
        }
        return store.list(...args);
      },
    });
    const { path: file } = await backUp({ ...byTheClockIn(settings), store: changing });
    const before = await stateOf(store);
    await store.close();
    const fresh = settingsOf();
    await restore(fresh, file);
    expect(await stateIn(fresh)).toEqual(before);
    expect(lists).toBeGreaterThan(2);
  });
});

describe("a damaged store whose backup rests encrypted", () => {
  const damagedWith = async (
    flags: Record<string, string>,
  ): Promise<{ settings: MasterSettings; before: string[] }> => {
    const settings = settingsOf(flags);
    const { before } = await backedUp(settings);
    const content = readFileSync(databaseOf(settings));
    writeFileSync(
      databaseOf(settings),
      content.fill(0, Math.floor(content.length * 0.3), Math.floor(content.length * 0.7)),
    );
    return { settings, before };
  };

  test("is as the backup has it", async () => {
    const { settings, before } = await damagedWith(sealedBy(local("a")));
    const store = await openStoreSafely(settings, silentLog);
    expect(await stateOf(store)).toEqual(before);
    await store.close();
  });

  test("is left alone where the key is gone, rather than that an older backup takes its place", async () => {
    const { settings } = await damagedWith(sealedBy(local("a")));
    const content = readFileSync(databaseOf(settings));
    const error = await rejection(
      openStoreSafely(
        { ...settings, encryptionProviderConfig: sealedBy(local("b"))["encryption-provider-config"] },
        silentLog,
      ),
    );
    expect(error).toBeInstanceOf(StateLostError);
    expect((error as Error).message).toContain("the key a of secretbox");
    expect(readFileSync(databaseOf(settings)).equals(content)).toBe(true);
  });

  test("waits for a key service that is away", async () => {
    const { settings, before } = await damagedWith(sealedBy(kms()));
    await plugin.kill();
    const error = await rejection(openStoreSafely(settings, silentLog));
    // Whoever starts the master anew is not told to give up.
    expect(error).not.toBeInstanceOf(StateLostError);
    expect((error as Error).message).toContain("the key service vault");
    await plugin.start();
    const store = await openStoreSafely(settings, silentLog);
    expect(await stateOf(store)).toEqual(before);
    await store.close();
  });
});
