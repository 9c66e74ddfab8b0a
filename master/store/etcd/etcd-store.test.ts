import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { silentLog } from "#shared/client/log.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import {
  dropFormerEncryptionKeys,
  parseEncryptionKeys,
  publishEncryptionKey,
  switchEncryptionKey,
} from "../encryption-keys.ts";
import { rewriteValues } from "../rewrite.ts";
import { CompactedError, OutcomeUnknownError, type Store, StoreUnavailableError } from "../store.ts";
import { describeStoreContract, rejection, take } from "../store-contract.ts";
import { aesGcmTransformer, plainText, type ValueTransformer } from "../value-transformer.ts";
import { openEtcdStore } from "./etcd-store.ts";
import { EtcdServers } from "./testing/etcd-server.ts";

let servers: EtcdServers;
beforeAll(async () => {
  servers = await EtcdServers.start();
});
afterAll(() => servers.stop());

const open = (transformer: ValueTransformer = plainText, compactEvery_ms?: number): Promise<Store> =>
  openEtcdStore({
    endpoints: servers.endpoints,
    credentials: () => servers.credentials,
    transformer,
    log: silentLog,
    compactEvery_ms,
  });

describeStoreContract({
  name: "etcd",
  async open() {
    // Each test counts from an etcd of its own.
    const own = await EtcdServers.start();
    const store = await openEtcdStore({
      endpoints: own.endpoints,
      credentials: () => own.credentials,
      transformer: plainText,
      log: silentLog,
    });
    return {
      store,
      async remove() {
        await store.close();
        await own.stop();
      },
    };
  },
});

describe("what rests in etcd", () => {
  test("is shown by etcdctl under its key, as JSON", async () => {
    const store = await open();
    const pod = '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nginx"}}';
    await store.create("/registry/pods/default/nginx", pod);
    expect(servers.ctl("get", "/registry", "--prefix", "--keys-only")).toContain("/registry/pods/default/nginx");
    expect(servers.ctl("get", "/registry/pods/default/nginx", "--print-value-only").trim()).toBe(pod);
    await store.close();
  });

  test("is encrypted under the prefixes of secrets, and read back by another master with the key", async () => {
    const text = Buffer.alloc(32, 7).toString("base64");
    let keys = parseEncryptionKeys(text, "the key");
    const [one, other] = await Promise.all(
      [1, 2].map(() => open(aesGcmTransformer(() => keys, ["/registry/secrets/"]))),
    );
    if (!one || !other) throw new Error("both are open");
    const watched = take(other, "/registry/secrets/", await other.now(), 1);
    await one.create("/registry/secrets/a/x", '{"data":{"password":"aHVudGVyMg=="}}');
    expect(servers.ctl("get", "/registry/secrets/a/x")).not.toContain("aHVudGVyMg");
    expect((await other.get("/registry/secrets/a/x"))?.value).toContain("aHVudGVyMg");
    expect((await watched)[0]).toMatchObject({ value: '{"data":{"password":"aHVudGVyMg=="}}' });
    const rests = (): string => servers.ctl("get", "/registry/secrets/a/x", "--print-value-only");
    expect(rests()).toContain(`:${keys.writing.keyId}:`);
    keys = parseEncryptionKeys(switchEncryptionKey(parseEncryptionKeys(publishEncryptionKey(keys), "it")), "it");
    expect((await other.get("/registry/secrets/a/x"))?.value).toContain("aHVudGVyMg");
    expect(await rewriteValues(one, ["/registry/secrets/"])).toBe(1);
    expect(rests()).toContain(`:${keys.writing.keyId}:`);
    keys = parseEncryptionKeys(dropFormerEncryptionKeys(keys), "it");
    expect((await other.get("/registry/secrets/a/x"))?.value).toContain("aHVudGVyMg");
    keys = parseEncryptionKeys(text, "the key");
    expect(String(await rejection(other.get("/registry/secrets/a/x")))).toContain(
      "If the key was changed while it was away",
    );
    await Promise.all([one.close(), other.close()]);
  });

  test("is told as what cannot be read where its key is not there, and all else goes on", async () => {
    const under = (byte: number) => {
      const keys = parseEncryptionKeys(Buffer.alloc(32, byte).toString("base64"), "the key");
      return open(aesGcmTransformer(() => keys, ["/registry/secrets/"]));
    };
    const [one, other] = await Promise.all([under(1), under(2)]);
    const heard = take(one, "/registry/secrets/", await one.now(), 2);
    await other.create("/registry/secrets/b/x", "{}");
    await one.create("/registry/secrets/b/y", "{}");
    const sealed = expect.stringContaining("that this master does not have");
    const told = [
      expect.objectContaining({ key: "/registry/secrets/b/x", value: "", sealed }),
      expect.objectContaining({ key: "/registry/secrets/b/y", value: "{}" }),
    ];
    expect(await heard).toEqual(told);
    expect((await one.list("/registry/secrets/b/", { tellsSealed: true })).items).toEqual(told);
    expect(String(await rejection(one.list("/registry/secrets/b/")))).toContain("that this master does not have");
    await Promise.all([one.close(), other.close()]);
  });
});

test("values of megabytes and lists of many keys arrive whole", async () => {
  const store = await open();
  const large = JSON.stringify({ text: "ü".repeat(600_000) });
  const before = await store.now();
  const watched = take(store, "/registry/large/", before, 3);
  for (const name of ["a", "b", "c"]) await store.create(`/registry/large/${name}`, large);
  expect((await watched).map((event) => event.type === "put" && event.value === large)).toEqual([true, true, true]);
  // Few at a time: of a creation that a busy etcd has not answered within seconds, the outcome is not known.
  for (let from = 0; from < 1200; from += 40)
    await Promise.all(
      Array.from({ length: 40 }, (_, n) => store.create(`/registry/many/${from + n}`, "x".repeat(100))),
    );
  const list = await store.list("/registry/many/");
  expect([list.items.length, list.more]).toEqual([1200, false]);
  expect((await store.list("/registry/many/", { limit: 700 })).items).toHaveLength(700);
  await store.close();
});

test("history is cut after a while, by one of the masters", async () => {
  const stores = await Promise.all([open(plainText, 150), open(plainText, 150)]);
  const stop = new AbortController();
  const [one] = stores;
  if (!one) throw new Error("it is open");
  const first = await one.create("/registry/cut/x", "0");
  const following = stores.map(async (store) => {
    for await (const _ of store.watch("/registry/cut/", first, stop.signal));
  });
  let revision = first;
  while ((await one.oldest()) <= first) {
    revision = await one.update("/registry/cut/x", "1", revision);
    await Bun.sleep(20);
  }
  expect(await rejection(one.list("/registry/cut/", { revision: first - 1 }))).toBeInstanceOf(CompactedError);
  stop.abort();
  await Promise.all(following);
  await Promise.all(stores.map((store) => store.close()));
});

test("five members go on without two: every acknowledged write is there, once, and the watch saw it", async () => {
  const five = await EtcdServers.start(5);
  const store = await openEtcdStore({
    endpoints: five.endpoints,
    credentials: () => five.credentials,
    transformer: plainText,
    log: silentLog,
  });
  const made: number[] = [];
  const before = await store.now();
  const stop = new AbortController();
  const seen: number[] = [];
  const watching = (async () => {
    for await (const { events } of store.watch("/registry/five/", before, stop.signal)) {
      for (const event of events) seen.push(event.revision);
    }
  })();
  for (let n = 0; n < 60; n += 1) {
    if (n === 20) await five.kill("m2");
    if (n === 40) await five.kill("m4");
    const written = await store.create(`/registry/five/${n}`, `{"n":${n}}`).catch((error: unknown) => error);
    if (typeof written === "number") made.push(written);
    else expect(written).toBeInstanceOf(OutcomeUnknownError);
  }
  expect(made.length).toBeGreaterThan(50);
  const revisions = (await store.list("/registry/five/")).items.map(({ revision }) => revision);
  expect(made.filter((revision) => !revisions.includes(revision))).toEqual([]);
  while (seen.length < revisions.length) await Bun.sleep(10);
  expect(seen).toEqual([...revisions].sort((a, b) => a - b));
  stop.abort();
  await watching;
  await store.close();
  await five.stop();
});

test("without a majority writes and fresh reads are refused in plain words, and all is well when a member returns", async () => {
  const three = await EtcdServers.start(3);
  const store = await openEtcdStore({
    endpoints: three.endpoints,
    credentials: () => three.credentials,
    transformer: plainText,
    log: silentLog,
  });
  const revision = await store.create("/registry/three/a", "{}");
  await three.kill("m2");
  await three.kill("m3");
  const errors = await Promise.all([
    rejection(store.now()),
    rejection(store.get("/registry/three/a")),
    rejection(store.list("/registry/three/")),
    rejection(store.update("/registry/three/a", '{"n":1}', revision)),
    rejection(store.create("/registry/three/b", "{}")),
  ]);
  for (const error of errors) {
    expect(error instanceof StoreUnavailableError || error instanceof OutcomeUnknownError).toBe(true);
    expect((error as Error).message).toContain("majority");
  }
  three.run("m2");
  await three.healthy();
  const next = await store.get("/registry/three/a");
  expect(await store.update("/registry/three/a", '{"n":2}', next?.revision ?? 0)).toBeGreaterThan(revision);
  await store.close();
  await three.stop();
});

describe("who is let in", () => {
  test("a client of another authority is not", async () => {
    const rogue = await createCertificateAuthority("etcd-ca");
    const client = await issueCertificate(rogue, { commonName: "bramble" }, [extendedKeyUsages.clientAuth]);
    const opened = openEtcdStore({
      endpoints: servers.endpoints,
      credentials: () => ({ ca: servers.ca.certificatePem, cert: client.certificatePem, key: client.keyPem }),
      transformer: plainText,
      log: silentLog,
    });
    expect(await rejection(opened)).toBeInstanceOf(StoreUnavailableError);
  });

  test("a server whose certificate is for another name is not believed", async () => {
    const opened = openEtcdStore({
      endpoints: servers.endpoints.map((endpoint) => endpoint.replace("127.0.0.1", "localhost")),
      credentials: () => servers.credentials,
      transformer: plainText,
      log: silentLog,
    });
    const error = await rejection(opened);
    expect(error).toBeInstanceOf(StoreUnavailableError);
    expect((error as Error).message).toContain("altnames");
  });
});
