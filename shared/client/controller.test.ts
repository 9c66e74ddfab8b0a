import { expect, test } from "bun:test";
import { configMaps } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { notedLog } from "#shared/testing/noted-log.ts";
import type { Client } from "./client.ts";
import { type EnqueueMapper, runController, watching, workOn } from "./controller.ts";
import { patience_ms } from "./expectations.ts";
import { InformerFactory } from "./informer.ts";
import type { SharedCache, SharedChange, SharedObject } from "./shared-cache.ts";
import { WorkQueue } from "./work-queue.ts";
import type { WrittenVersions } from "./written-versions.ts";

const count = 1000;
const names = Array.from({ length: count }, (_, index) => `a/name-${index}`);

/** A cache of the API server's, which says how often an object was parsed. */
class CountingCache implements SharedCache<ConfigMap> {
  parsed = 0;
  enqueued = 0;
  readonly size = count;
  readonly #objects = new Map(names.map((key) => [key, this.#object(key)]));

  #object(key: string): SharedObject<ConfigMap> {
    const [namespace = "", name = ""] = key.split("/");
    return {
      key,
      view: () => {
        this.parsed += 1;
        return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace } };
      },
    };
  }

  open = (): Promise<void> => Promise.resolve();
  get = (key: string): SharedObject<ConfigMap> | undefined => this.#objects.get(key);
  labelsOf = (): undefined => undefined;
  keys = (): IterableIterator<string> => this.#objects.keys();
  list = (): readonly SharedObject<ConfigMap>[] => [...this.#objects.values()];
  labelled = (): readonly SharedObject<ConfigMap>[] => [];
  tell: (change: SharedChange<ConfigMap>) => void = () => undefined;
  listen = (listener: (change: SharedChange<ConfigMap>) => void): (() => void) => {
    this.tell = listener;
    return () => undefined;
  };
}

/** Runs a controller of a cache until its first resync is over; gives the keys that it looked at for that. */
async function resynced(cache: CountingCache, enqueue?: EnqueueMapper<ConfigMap>): Promise<string[]> {
  const clock = new ManualClock();
  const client = { sharedCache: () => cache } as unknown as Client;
  const informers = new InformerFactory(client, { clock });
  informers.start();
  const seen: string[] = [];
  const running = await runController(
    {
      name: "counting",
      watches: [watching(configMaps, { enqueue })],
      resync_s: 60,
      reconcile: async (key) => void seen.push(key),
    },
    { client, informers, clock, events: { record: () => undefined } },
  );
  const looked = async (): Promise<string[]> => {
    while (seen.length < count) await new Promise<void>((resolve) => setImmediate(resolve));
    return seen.splice(0);
  };
  await looked();
  cache.parsed = cache.enqueued = 0;
  await clock.advance(60_000);
  const keys = await looked();
  await running.stop();
  return keys;
}

test("a change is looked at once, also where a worker waits for it", async () => {
  const cache = new CountingCache();
  const client = { sharedCache: () => cache } as unknown as Client;
  const informers = new InformerFactory(client);
  informers.start();
  const seen: string[] = [];
  const running = await runController(
    { name: "looking", watches: [watching(configMaps)], reconcile: async (key) => void seen.push(key) },
    { client, informers, events: { record: () => undefined } },
  );
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  while (seen.length < count || running.queue.busy) await turn();
  seen.length = 0;
  const object = cache.get("a/name-1") as SharedObject<ConfigMap>;
  cache.tell({ type: "MODIFIED", object, previous: object });
  while (seen.length === 0 || running.queue.busy) await turn();
  expect(seen).toEqual(["a/name-1"]);
  await running.stop();
});

test("what was written is waited for until the cache tells of it, and not by the controller's next run", async () => {
  const cache = new CountingCache();
  const client = { sharedCache: () => cache } as unknown as Client;
  const informers = new InformerFactory(client);
  informers.start();
  const run = async (): Promise<{ written: WrittenVersions; stop(): Promise<void> }> => {
    const { promise, resolve } = Promise.withResolvers<WrittenVersions>();
    const watches = [watching(configMaps, { writes: true })];
    const running = await runController(
      { name: "writing", watches, reconcile: async (_key, { written }) => resolve(written) },
      { client, informers, events: { record: () => undefined }, clock: new ManualClock() },
    );
    return { written: await promise, stop: () => running.stop() };
  };
  const configMap = (resourceVersion: string): ConfigMap => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "name-1", namespace: "a", resourceVersion },
  });
  const { written, stop } = await run();
  written.wrote("owner", configMaps, configMap("9"));
  expect(written.wait_ms("owner")).toBe(patience_ms);
  const object = { key: "a/name-1", view: () => configMap("9") };
  cache.tell({ type: "MODIFIED", object, previous: object });
  while (written.wait_ms("owner") !== undefined) await new Promise<void>((resolve) => setImmediate(resolve));
  written.wrote("owner", configMaps, configMap("10"));
  await stop();
  const next = await run();
  expect(next.written.wait_ms("owner")).toBeUndefined();
  await next.stop();
});

test("all keys are looked at again, for which no object is read", async () => {
  const cache = new CountingCache();
  expect((await resynced(cache)).sort()).toEqual(names.toSorted());
  expect(cache.parsed).toBe(0);
});

test("where keys follow from objects, these are read one after the other", async () => {
  const cache = new CountingCache();
  let ahead = 0;
  const keys = await resynced(cache, ({ metadata }) => {
    cache.enqueued += 1;
    ahead = Math.max(ahead, cache.parsed - cache.enqueued);
    return [`${metadata.namespace}/${metadata.name}`];
  });
  expect(keys.sort()).toEqual(names.toSorted());
  expect(ahead).toBe(0);
});

test("keys by an index are told without reading an object", async () => {
  const cache = new CountingCache();
  const informers = new InformerFactory({ sharedCache: () => cache } as unknown as Client);
  informers.start();
  const informer = informers.informer(configMaps);
  informer.addIndex("last digit", ({ metadata }) => [metadata.name?.at(-1) ?? ""]);
  await informer.synced;
  cache.parsed = 0;
  expect(informer.lister.keysByIndex("last digit", "7").toSorted()).toEqual(
    names.filter((name) => name.endsWith("7")).toSorted(),
  );
  expect([...informer.lister.keys()]).toEqual(names);
  expect(cache.parsed).toBe(0);
  expect(() => informer.lister.keysByIndex("none", "7")).toThrow("there is no index none");
  expect(informer.lister.byIndex("last digit", "7")).toHaveLength(count / 10);
});

test("what fails again and again is told of ever more seldom", async () => {
  const queue = new WorkQueue({ firstBackOff_ms: 0, longestBackOff_ms: 0 });
  const { log, lines, fields } = notedLog();
  let tries = 0;
  queue.add("a");
  await workOn(
    queue,
    () => {
      if (++tries === 101) queue.shutDown();
      return Promise.reject(new Error("away"));
    },
    log,
  );
  expect(lines.every((line) => line === "warn will try again")).toBe(true);
  expect(fields.map(({ failures }) => failures)).toEqual([3, 4, 8, 16, 32, 64]);
});
