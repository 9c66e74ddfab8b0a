import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "#shared/client/log.ts";
import { until } from "#shared/testing/until.ts";
import { openSealed } from "../resting-values.ts";
import { openSqliteStore } from "../sqlite-store.ts";
import { describeStoreContract } from "../store-contract.ts";
import type { ValueTransformer } from "../value-transformer.ts";
import { groupOfBuiltIn } from "./built-in-groups.ts";
import { KeyServiceError } from "./key-service-error.ts";
import { EncryptionProviders } from "./providers.ts";
import { KmsPluginProcess } from "./testing/plugin-process.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-encryption-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const own: ValueTransformer = {
  toStorage: (_key, value) => `own:${value}`,
  fromStorage: (_key, stored) => stored.replace(/^own:/, ""),
};
const secret = (bytes = 32): string => randomBytes(bytes).toString("base64");
const configuration = (...resources: object[]): string =>
  JSON.stringify({ apiVersion: "apiserver.config.k8s.io/v1", kind: "EncryptionConfiguration", resources });
const keys = (...secrets: string[]): object => ({
  keys: secrets.map((one, index) => ({ name: `key${index}`, secret: one })),
});
const secretsBy = (...providers: object[]): string => configuration({ resources: ["secrets"], providers });
/** @param timeout long enough for any machine, unless a test is about who does not answer. */
const kms = (endpoint: string, name = "one", timeout = "60s"): object => ({
  kms: { apiVersion: "v2", name, endpoint, timeout },
});

let files = 0;
/** In one piece, also over a file that is there. */
function written(text: string, path = join(folder, `${files++}.yaml`)): string {
  writeFileSync(`${path}.next`, text);
  renameSync(`${path}.next`, path);
  return path;
}

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const each of opened.splice(0)) each.close();
});

async function providersOf(path: string, follows = true): Promise<EncryptionProviders> {
  const providers = await EncryptionProviders.open({ path, follows, own, groupOf: groupOfBuiltIn, log: silentLog });
  opened.push(providers);
  return providers;
}

const key = "/registry/secrets/default/a";
const value = JSON.stringify({ kind: "Secret", data: { a: "ä" } });

describe.each(["aescbc", "aesgcm", "secretbox"])("%s", (cipher) => {
  test("hides a value and gives it back", async () => {
    const providers = await providersOf(written(secretsBy({ [cipher]: keys(secret()) }, { identity: {} })));
    const stored = providers.toStorage(key, value);
    expect(stored).toStartWith(`k8s:enc:${cipher}:v1:key0:`);
    expect(stored).not.toContain("Secret");
    expect(providers.fromStorage(key, stored)).toBe(value);
    expect(providers.toStorage(key, value)).not.toBe(stored);
    // What the configuration does not speak of, and what was written before it.
    expect(providers.toStorage("/registry/configmaps/default/a", value)).toBe(`own:${value}`);
    expect(providers.fromStorage(key, `own:${value}`)).toBe(value);
    expect(providers.fromStorage(key, value)).toBe(value);
  });

  test("a former key still reads, and a stranger's does not", async () => {
    const [former, next] = [secret(), secret()];
    const path = written(secretsBy({ [cipher]: keys(former) }));
    const providers = await providersOf(path);
    const stored = providers.toStorage(key, value);
    const both = {
      keys: [
        { name: "new", secret: next },
        { name: "key0", secret: former },
      ],
    };
    written(secretsBy({ [cipher]: both }), path);
    await until("the new key writes", () => providers.toStorage(key, value).startsWith(`k8s:enc:${cipher}:v1:new:`));
    expect(providers.fromStorage(key, stored)).toBe(value);
    const alone = await providersOf(written(secretsBy({ [cipher]: keys(secret()) })));
    expect(() => alone.fromStorage(key, stored)).toThrow("was encrypted by");
  });
});

test("aesgcm binds a value to its key", async () => {
  const providers = await providersOf(written(secretsBy({ aesgcm: keys(secret()) })));
  const stored = providers.toStorage(key, value);
  expect(() => providers.fromStorage("/registry/secrets/default/b", stored)).toThrow("was encrypted by");
});

test("resources are of the core, of groups, all of a group, or all; the first that speaks of one decides", async () => {
  const providers = await providersOf(
    written(
      configuration(
        {
          resources: ["configmaps", "deployments.apps", "widgets.example.com"],
          providers: [{ aescbc: keys(secret()) }],
        },
        { resources: ["secrets"], providers: [{ identity: {} }] },
        { resources: ["*.", "*.apps"], providers: [{ aesgcm: keys(secret()) }] },
        { resources: ["*.*"], providers: [{ secretbox: keys(secret()) }] },
      ),
    ),
  );
  const how = (path: string): string => providers.toStorage(`/registry/${path}`, "x").split(":")[2] ?? "as it is";
  expect({
    configmaps: how("configmaps/a/b"),
    deployments: how("deployments/a/b"),
    widgets: how("example.com/widgets/a/b"),
    secrets: how("secrets/a/b"),
    pods: how("pods/a/b"),
    daemonsets: how("daemonsets/a/b"),
    jobs: how("jobs/a/b"),
    others: how("example.com/others/a"),
  }).toEqual({
    configmaps: "aescbc",
    deployments: "aescbc",
    widgets: "aescbc",
    secrets: "as it is",
    pods: "aesgcm",
    daemonsets: "aesgcm",
    jobs: "secretbox",
    others: "secretbox",
  });
  expect(providers.toStorage("revision_shift", "x")).toBe("own:x");
});

test("a file that is no good is refused at the start, and passed over later", async () => {
  const path = written(secretsBy({ secretbox: keys(secret()) }));
  const providers = await providersOf(path);
  written("resources: 5", path);
  const next = written(secretsBy({ aesgcm: keys(secret()) }), `${path}.good`);
  expect(providers.toStorage(key, value)).toStartWith("k8s:enc:secretbox:");
  renameSync(next, path);
  await until("the good one holds", () => providers.toStorage(key, value).startsWith("k8s:enc:aesgcm:"));
  await expect(providersOf(written("resources: 5"))).rejects.toThrow("is not a valid EncryptionConfiguration");
  await expect(providersOf(join(folder, "none"), false)).rejects.toThrow("cannot read ");
});

test("whoever could not read a value is told when keys have come", async () => {
  const [first, second] = [{ secretbox: keys(secret()) }, { aesgcm: keys(secret()) }];
  const stored = (await providersOf(written(secretsBy(second)))).toStorage(key, value);
  const path = written(secretsBy(first));
  const providers = await providersOf(path);
  expect(() => providers.fromStorage(key, stored)).toThrow("does not have (any more)");
  const told = Promise.withResolvers<void>();
  const forget = providers.onReadable(told.resolve);
  written(secretsBy(first, second), path);
  await told.promise;
  expect(providers.fromStorage(key, stored)).toBe(value);
  forget();
});

describe("a key service", () => {
  const plugins: KmsPluginProcess[] = [];
  afterEach(async () => {
    for (const each of plugins.splice(0)) await each.remove();
  });
  async function running(): Promise<KmsPluginProcess> {
    const plugin = new KmsPluginProcess();
    plugins.push(plugin);
    await plugin.start();
    return plugin;
  }

  test("comes into force by a change of the file once it is well, and what rested before is read on", async () => {
    const local = { secretbox: keys(secret()) };
    const path = written(secretsBy(local));
    const providers = await providersOf(path);
    await providers.check?.();
    const before = providers.toStorage(key, value);
    const plugin = await running();
    await plugin.kill();
    written(secretsBy(kms(plugin.endpoint), local), path);
    // It is tried from now on, and what held before holds.
    expect(providers.toStorage(key, value)).toStartWith("k8s:enc:secretbox:");
    await plugin.start();
    await until("the key service writes", () => providers.toStorage(key, value).startsWith("k8s:enc:kms:v2:one:"));
    expect(providers.fromStorage(key, before)).toBe(value);
    const stored = providers.toStorage(key, value);
    expect(providers.fromStorage(key, stored)).toBe(value);
    written(secretsBy(local, kms(plugin.endpoint)), path);
    await until("the local key writes", () => providers.toStorage(key, value).startsWith("k8s:enc:secretbox:"));
    expect(providers.fromStorage(key, stored)).toBe(value);
    written(secretsBy(local), path);
    await until("it is not known any more", () => {
      try {
        providers.fromStorage(key, stored);
        return false;
      } catch (error) {
        return (error as Error).message.includes("was encrypted by kms with the key one");
      }
    });
  });

  test("is told of by its place when it is not well", async () => {
    const [well, away] = [await running(), new KmsPluginProcess()];
    plugins.push(away);
    const providers = await providersOf(written(secretsBy(kms(well.endpoint), kms(away.endpoint, "two", "1s"))), false);
    const check = providers.check?.() ?? Promise.resolve();
    await expect(check).rejects.toThrow(
      "kms-provider-1: failed to perform status section of the healthz check for KMS Provider two, error: rpc error: code = DeadlineExceeded",
    );
  });

  test("there is no check where none is asked, and none may ever be", async () => {
    const path = written(secretsBy({ secretbox: keys(secret()) }));
    expect((await providersOf(path, false)).check).toBeUndefined();
    expect((await providersOf(path)).check).toBeFunction();
  });

  test("what was not sealed for its key is given as it is", async () => {
    const plugin = await running();
    const providers = await providersOf(written(secretsBy(kms(plugin.endpoint))));
    const stored = providers.toStorage(key, value);
    expect(await providers.fromStorage("/registry/secrets/default/b", stored)).toBe(stored);
    expect(await providers.fromStorage(key, "k8s:enc:kms:v2:one:bm9uZQ==")).toBe("k8s:enc:kms:v2:one:bm9uZQ==");
  });

  test("a store lists nothing where a part cannot be read, unless it is to tell of it", async () => {
    const plugin = await running();
    const path = join(folder, "sealed.db");
    const settings = { encryptionProviderConfig: written(secretsBy(kms(plugin.endpoint, "one", "1s"))) };
    const open = () =>
      openSealed(settings, { keyFile: join(folder, "own.key"), prefixes: [] }, silentLog, () =>
        openSqliteStore({ path }),
      );
    const store = await open();
    const revision = await until("the key service is well", () => store.create(key, value));
    expect((await store.get(key))?.value).toBe(value);
    await store.close();
    await plugin.kill();
    const again = await open();
    expect(again.checks).toHaveProperty("kms-providers");
    const told = await again.list("/registry/secrets/", { tellsSealed: true });
    expect(told.items).toEqual([
      { key, value: "", revision, sealed: expect.stringContaining("failed to decrypt DEK, error: rpc error") },
    ]);
    const refusals = await Promise.allSettled([
      again.list("/registry/secrets/"),
      again.get(key),
      again.update(key, value, revision),
      again.create(`${key}b`, value),
    ]);
    for (const each of refusals) expect(each.status === "rejected" && each.reason).toBeInstanceOf(KeyServiceError);
    // Nobody need read what is deleted.
    await again.delete(key, revision);
    await again.close();
  });
});

test("without the configuration a store has what rests as it rests", async () => {
  const path = join(folder, "store.db");
  const encryption = { keyFile: join(folder, "own.key"), prefixes: ["/registry/secrets/"] };
  const settings = { encryptionProviderConfig: written(secretsBy({ secretbox: keys(secret()) })) };
  const open = (given: Parameters<typeof openSealed>[0]) =>
    openSealed(given, encryption, silentLog, (own) => openSqliteStore({ path, encryption: own }));
  const store = await open(settings);
  await store.create(key, value);
  await store.close();
  const again = await open(settings);
  expect((await again.get(key))?.value).toBe(value);
  await again.close();
  const without = await open({});
  expect((await without.get(key))?.value).toStartWith("k8s:enc:secretbox:v1:key0:");
  expect(without.checks).toBeUndefined();
  await without.close();
});

describeStoreContract({
  name: "sqlite, sealed by an EncryptionConfiguration",
  async open() {
    const here = mkdtempSync(join(folder, "contract-"));
    const settings = {
      encryptionProviderConfig: written(configuration({ resources: ["*.*"], providers: [{ aesgcm: keys(secret()) }] })),
    };
    const store = await openSealed(settings, { keyFile: join(here, "own.key"), prefixes: [] }, silentLog, () =>
      openSqliteStore({ path: join(here, "state.db") }),
    );
    return { store, remove: () => store.close() };
  },
});
