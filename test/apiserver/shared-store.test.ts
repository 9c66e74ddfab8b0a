/** Two API servers over one etcd: what was written by way of one is there by way of the other, at once. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { hasReason, isConflict, isNotFound, type StatusError } from "#shared/api/errors.ts";
import { configMaps, namespaces } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { silentLog } from "#shared/client/log.ts";
import { authenticatorChain } from "../../master/apiserver/authn/chain.ts";
import { ClientIdentities } from "../../master/apiserver/authn/client-identity.ts";
import { ClientCertificates } from "../../master/apiserver/authn/x509.ts";
import { authorizerChain, privilegedGroup } from "../../master/apiserver/authz/chain.ts";
import { builtinDeclarations } from "../../master/apiserver/resources/index.ts";
import { ApiServer } from "../../master/apiserver/server.ts";
import { openEtcdStore } from "../../master/store/etcd/etcd-store.ts";
import { EtcdServers } from "../../master/store/etcd/testing/etcd-server.ts";
import type { Store } from "../../master/store/store.ts";
import { rejection } from "../../master/store/store-contract.ts";
import { plainText } from "../../master/store/value-transformer.ts";
import { admin } from "../support/apiserver.ts";

let servers: EtcdServers;
const stores: Store[] = [];
const apis: ApiServer[] = [];
let one: Client;
let other: Client;

beforeAll(async () => {
  servers = await EtcdServers.start(3);
  for (let n = 0; n < 2; n += 1) {
    const store = await openEtcdStore({
      endpoints: servers.endpoints,
      credentials: () => servers.credentials,
      transformer: plainText,
      log: silentLog,
    });
    const api = new ApiServer({
      store,
      declarations: builtinDeclarations,
      guards: () => ({
        authenticator: authenticatorChain([new ClientCertificates(new ClientIdentities())]),
        authorizer: authorizerChain([privilegedGroup]),
        admission: [],
      }),
    });
    await api.start();
    stores.push(store);
    apis.push(api);
  }
  const [first, second] = apis;
  if (!first || !second) throw new Error("both were started");
  one = first.client(admin, "one");
  other = second.client(admin, "other");
  await one.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: "a" }, spec: {} });
});
afterAll(async () => {
  for (const api of apis) api.stop();
  for (const store of stores) await store.close();
  await servers.stop();
});

const named = (name: string, data: Record<string, string> = {}) => ({
  apiVersion: "v1" as const,
  kind: "ConfigMap" as const,
  metadata: { name, namespace: "a" },
  data,
});

describe("written by way of one server", () => {
  test("an object is read, changed and deleted by way of the other at once", async () => {
    for (let n = 0; n < 20; n += 1) {
      const name = `x${n}`;
      const created = await one.create(configMaps, named(name));
      const read = await other.get(configMaps, { namespace: "a", name });
      expect(read.metadata.resourceVersion).toBe(created.metadata.resourceVersion);
      const changed = await other.update(configMaps, { ...read, data: { n: "1" } });
      expect(await rejection(one.update(configMaps, { ...created, data: { n: "2" } }))).toSatisfy(isConflict);
      const again = await one.update(configMaps, { ...changed, data: { n: "2" } });
      expect((await other.get(configMaps, { namespace: "a", name })).metadata.resourceVersion).toBe(
        again.metadata.resourceVersion,
      );
      await other.delete(configMaps, { namespace: "a", name });
      expect(await rejection(one.get(configMaps, { namespace: "a", name }))).toSatisfy(isNotFound);
    }
  });

  test("lists show it, and a watch goes on at the other from the revision of the one", async () => {
    const { metadata } = await one.list(configMaps, { namespace: "a" });
    const created = await one.create(configMaps, named("listed"));
    const list = await other.list(configMaps, { namespace: "a" });
    expect(list.items.map((item) => item.metadata.name)).toContain("listed");
    const stop = new AbortController();
    for await (const event of other.watch(configMaps, {
      namespace: "a",
      resourceVersion: metadata.resourceVersion ?? "",
      signal: stop.signal,
    })) {
      expect(event.object.metadata.resourceVersion).toBe(created.metadata.resourceVersion);
      break;
    }
  });

  test("racing changes of one object through both are all made, each once", async () => {
    await one.create(configMaps, named("counter", { n: "0" }));
    const add = async (client: Client): Promise<void> => {
      for (let made = 0; made < 20; ) {
        const present = await client.get(configMaps, { namespace: "a", name: "counter" });
        const n = Number(present.data?.["n"]) + 1;
        try {
          await client.update(configMaps, { ...present, data: { n: String(n) } });
          made += 1;
        } catch (error) {
          if (!isConflict(error)) throw error;
        }
      }
    };
    await Promise.all([add(one), add(other)]);
    expect((await one.get(configMaps, { namespace: "a", name: "counter" })).data).toEqual({ n: "40" });
  });
});

test("without a majority of etcd nothing is written and nothing fresh is read; all is well when one comes back", async () => {
  await one.create(configMaps, named("before"));
  const key = { namespace: "a", name: "before" };
  // A fresh read: from then on the other's cache shows it, too.
  await other.get(configMaps, key);
  await servers.kill("m1");
  await servers.kill("m2");
  const refused = (await rejection(one.create(configMaps, named("refused")))) as StatusError;
  expect(hasReason(refused, "ServiceUnavailable") || hasReason(refused, "Timeout")).toBe(true);
  expect(refused.message).toContain("etcd");
  expect(await rejection(other.get(configMaps, key))).toSatisfy((error) => hasReason(error, "ServiceUnavailable"));
  // What the cache shows is still served to who asks for no more.
  expect((await other.get(configMaps, key, { resourceVersion: "0" })).metadata.name).toBe("before");
  servers.run("m1");
  await servers.healthy();
  await one.create(configMaps, named("after"));
  expect((await other.get(configMaps, { namespace: "a", name: "after" })).metadata.name).toBe("after");
});
