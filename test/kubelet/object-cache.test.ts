import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { configMaps } from "#shared/api/resources.ts";
import type { PersistentVolume, Pod, Secret } from "#shared/api/types/core-v1.generated.ts";
import type { WatchEvent, WatchOptions } from "#shared/client/client.ts";
import { silentLog } from "#shared/client/log.ts";
import { Seal } from "../../agent/checkpoint/seal.ts";
import { Checkpoint } from "../../agent/kubelet/checkpoint.ts";
import { ObjectCache } from "../../agent/kubelet/object-cache.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";
import { SeverableClient } from "./severable-client.ts";

/** Its watches begin when they are let. */
class HeldClient extends SeverableClient {
  readonly #gate = Promise.withResolvers<void>();

  release(): void {
    this.#gate.resolve();
  }

  override async *watch<T>(ref: ResourceRef<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>> {
    await this.#gate.promise;
    yield* super.watch(ref, options);
  }
}

const folder = mkdtempSync(join(tmpdir(), "object-cache-"));
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ namespaces: ["test"] });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

function podShowing(name: string): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "pod", namespace: "test", uid: "uid-1" },
    spec: { containers: [], volumes: [{ name: "files", configMap: { name } }] },
  };
}

async function newCache(
  client: HeldClient,
): Promise<{ cache: ObjectCache; checkpoint: Checkpoint; changed: Promise<string[]> }> {
  const told = Promise.withResolvers<string[]>();
  const seal = await Seal.open(join(folder, "key"), "test");
  const checkpoint = new Checkpoint(join(folder, crypto.randomUUID()), silentLog, seal);
  const cache = new ObjectCache(client, checkpoint, (uids) => told.resolve([...uids]));
  return { cache, checkpoint, changed: told.promise };
}

test("a change between the first read and the watch is told", async () => {
  const key = { namespace: "test", name: "early" };
  await server.client.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata: key, data: { a: "1" } });
  const client = new HeldClient(server.client);
  const { cache, changed } = await newCache(client);
  cache.retain(podShowing(key.name));
  expect((await cache.configMap("test", key.name)).data).toEqual({ a: "1" });
  await server.client.patch(configMaps, key, { type: "merge", body: { data: { a: "2" } } });
  client.release();
  expect(await changed).toEqual(["uid-1"]);
  expect((await cache.configMap("test", key.name)).data).toEqual({ a: "2" });
  await cache.stop();
});

test("what a watch will show is not asked for besides", async () => {
  const key = { namespace: "test", name: "watched" };
  await server.client.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata: key, data: { a: "1" } });
  const client = new HeldClient(server.client);
  client.get = () => Promise.reject(new Error("asked besides"));
  const { cache } = await newCache(client);
  cache.retain(podShowing(key.name));
  const read = cache.configMap("test", key.name);
  client.release();
  expect((await read).data).toEqual({ a: "1" });
  await cache.stop();
});

test("what no pod of the board refers to is kept no longer, whoever read it; what one does is", async () => {
  const pod = (uid: string, spec: Partial<Pod["spec"]>): Pod => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: uid, namespace: "test", uid },
    spec: { containers: [], ...spec },
  });
  const mounting = pod("mounting", { volumes: [{ name: "files", secret: { secretName: "shared" } }] });
  const reading = pod("reading", {
    containers: [
      { name: "main", envFrom: [{ secretRef: { name: "shared" } }, { configMapRef: { name: "settings" } }] },
    ],
    imagePullSecrets: [{ name: "registry" }],
  });
  const driven: PersistentVolume = {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: "volume" },
    spec: { csi: { driver: "d", volumeHandle: "v", nodeStageSecretRef: { namespace: "drivers", name: "stage" } } },
  };
  const client = new HeldClient(server.client);
  client.release();
  const { cache, checkpoint } = await newCache(client);
  const secretCalled = (namespace: string, name: string): Secret => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace, name },
  });
  for (const name of ["shared", "registry", "of-another"])
    await checkpoint.save("secrets", `test/${name}`, secretCalled("test", name));
  await checkpoint.save("secrets", "drivers/stage", secretCalled("drivers", "stage"));
  for (const name of ["settings", "of-another"])
    await checkpoint.save("configmaps", `test/${name}`, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { namespace: "test", name },
    });
  await checkpoint.save("volumes", "driven", {
    metadata: { uid: "driven" },
    claims: { claim: { volume: driven, readOnly: false } },
  });
  const kept = async (): Promise<string[]> =>
    [...(await checkpoint.load("configmaps")), ...(await checkpoint.load("secrets"))]
      .map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`)
      .toSorted();

  cache.retain(mounting);
  // The one that mounts it goes; the other has read it into its environment.
  await cache.release("mounting");
  await cache.retainKept(() => [reading]);
  expect(await kept()).toEqual([
    "ConfigMap test/settings",
    "Secret drivers/stage",
    "Secret test/registry",
    "Secret test/shared",
  ]);
  await checkpoint.remove("volumes", "driven");
  await cache.retainKept(() => []);
  expect(await kept()).toEqual([]);
  await cache.stop();
});

test("a Secret is kept, and cannot be read on the card; one that is broken there counts as none", async () => {
  const seal = await Seal.open(join(folder, "key"), "test");
  const place = join(folder, crypto.randomUUID());
  const password = Buffer.from("hunter2").toString("base64");
  const metadata = { namespace: "test", name: "login" };
  await new Checkpoint(place, silentLog, seal).save("secrets", "test/login", {
    apiVersion: "v1",
    kind: "Secret",
    metadata,
    data: { password },
  });
  const file = join(place, "secrets", readdirSync(join(place, "secrets"))[0] ?? "");
  const bytes = readFileSync(file);
  expect(bytes.includes(password) || bytes.includes("hunter2")).toBe(false);
  const again = new Checkpoint(place, silentLog, seal);
  expect((await again.read("secrets", "test/login"))?.data).toEqual({ password });
  expect(await again.load("secrets")).toHaveLength(1);
  writeFileSync(file, bytes.subarray(0, 20));
  expect(await new Checkpoint(place, silentLog, seal).load("secrets")).toEqual([]);
});
