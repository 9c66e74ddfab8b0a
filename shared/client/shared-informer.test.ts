import { expect, test } from "bun:test";
import type { KubeObject } from "#shared/api/object.ts";
import { configMaps } from "#shared/api/resources.ts";
import type { Labels } from "#shared/api/selector/label-selector.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import type { SharedCache, SharedChange, SharedObject } from "./shared-cache.ts";
import { SharedInformer } from "./shared-informer.ts";
import type { LabelMatch } from "./store-index.ts";

const configMap = (name: string, value: string): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "a", uid: name, labels: { value } },
});

/** A cache that a test changes by hand; counts what is parsed. */
class HandCache implements SharedCache<ConfigMap> {
  parsed = 0;
  permission: Promise<void> = Promise.resolve();
  readonly #objects = new Map<string, SharedObject<ConfigMap>>();
  readonly #labels = new Map<string, Labels>();
  readonly #listeners = new Set<(change: SharedChange<ConfigMap>) => void>();

  get size(): number {
    return this.#objects.size;
  }
  open(): Promise<void> {
    return this.permission;
  }
  get(key: string): SharedObject<ConfigMap> | undefined {
    return this.#objects.get(key);
  }
  labelsOf(key: string): Labels | undefined {
    return this.#labels.get(key);
  }
  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }
  list(): readonly SharedObject<ConfigMap>[] {
    return [...this.#objects.values()];
  }
  labelled(_: string | undefined, matches: LabelMatch): readonly SharedObject<ConfigMap>[] {
    return this.list().filter(({ key }) => matches(this.#labels.get(key)));
  }
  listen(listener: (change: SharedChange<ConfigMap>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  put(name: string, value: string): void {
    const key = `a/${name}`;
    const previous = this.#objects.get(key);
    const object = {
      key,
      view: () => {
        this.parsed += 1;
        return configMap(name, value);
      },
    };
    this.#objects.set(key, object);
    this.#labels.set(key, { value });
    for (const listener of this.#listeners) listener({ type: previous ? "MODIFIED" : "ADDED", object, previous });
  }

  remove(name: string): void {
    const previous = this.#objects.get(`a/${name}`);
    if (!previous) return;
    this.#objects.delete(previous.key);
    for (const listener of this.#listeners) listener({ type: "DELETED", object: previous, previous });
  }
}

const labelOf = ({ metadata }: KubeObject): string => metadata.labels?.["value"] ?? "";

/** What one handler hears, as `type name value`. */
function hear(informer: SharedInformer<ConfigMap>): string[] {
  const heard: string[] = [];
  informer.addHandler(({ type, object, old }) =>
    heard.push(`${type} ${object.metadata.name} ${old ? `${labelOf(old)}>` : ""}${labelOf(object)}`),
  );
  return heard;
}

const settled = async (): Promise<void> => {
  for (let turns = 0; turns < 5; turns++) await new Promise<void>((resolve) => setImmediate(resolve));
};

test("shows nothing before it may, then everything, and tells each handler once", async () => {
  const cache = new HandCache();
  cache.put("x", "1");
  const informer = new SharedInformer(cache, configMaps);
  informer.addIndex("value", (object) => [labelOf(object)]);
  const heard = hear(informer);
  expect(informer.lister.list()).toEqual([]);
  informer.start();
  await informer.synced;
  expect(heard).toEqual(["add x 1"]);
  expect(informer.lister.byIndex("value", "1").map(({ metadata }) => metadata.name)).toEqual(["x"]);
  cache.put("x", "2");
  expect(informer.lister.byIndex("value", "1")).toEqual([]);
  expect(informer.lister.byIndex("value", "2")).toHaveLength(1);
  cache.remove("x");
  expect(informer.lister.byIndex("value", "2")).toEqual([]);
  await settled();
  expect(heard).toEqual(["add x 1", "update x 1>2", "delete x 2"]);
  await informer.stop();
  cache.put("y", "1");
  await settled();
  expect(heard).toHaveLength(3);
});

test("objects are found by their labels without a look at others, and their number by a value of an index without any", async () => {
  const cache = new HandCache();
  for (let index = 0; index < 5; index++) cache.put(`x${index}`, String(index % 2));
  const informer = new SharedInformer(cache, configMaps);
  informer.addIndex("value", (object) => [labelOf(object)]);
  const isOne = (labels: Labels | undefined): boolean => labels?.["value"] === "1";
  expect(informer.lister.labelled(undefined, isOne)).toEqual([]);
  expect(informer.lister.countByIndex("value", "0")).toBe(0);
  informer.start();
  await informer.synced;
  cache.parsed = 0;
  expect(informer.lister.labelled(undefined, isOne).map(({ metadata }) => metadata.name)).toEqual(["x1", "x3"]);
  expect(cache.parsed).toBe(2);
  expect(informer.lister.countByIndex("value", "0")).toBe(3);
  expect(cache.parsed).toBe(2);
  informer.addIndex("all", () => ["yes"]);
  cache.parsed = 0;
  expect(informer.lister.byIndex("all", "yes", isOne).map(({ metadata }) => metadata.name)).toEqual(["x1", "x3"]);
  expect(cache.parsed).toBe(2);
  expect(() => informer.lister.countByIndex("no such", "0")).toThrow("no index");
  await informer.stop();
});

test("a handler that comes late hears what is there, and nothing from before twice", async () => {
  const cache = new HandCache();
  const informer = new SharedInformer(cache, configMaps);
  const first = hear(informer);
  informer.start();
  await informer.synced;
  cache.put("x", "1");
  cache.put("x", "2");
  // Both changes still wait for the first handler.
  const late = hear(informer);
  cache.put("x", "3");
  await informer.caughtUp();
  await settled();
  expect(first).toEqual(["add x 1", "update x 1>2", "update x 2>3"]);
  expect(late).toEqual(["add x 2", "update x 2>3"]);
  await informer.stop();
});

test("changes during a long beginning come after it, and an index shows the newest", async () => {
  const cache = new HandCache();
  for (let index = 0; index < 5_000; index++) cache.put(`m${index}`, "old");
  const informer = new SharedInformer(cache, configMaps);
  informer.addIndex("value", (object) => [labelOf(object)]);
  const seen = new Map<string, string[]>();
  informer.addHandler(({ type, object }) => {
    const name = object.metadata.name ?? "";
    seen.set(name, [...(seen.get(name) ?? []), `${type} ${labelOf(object)}`]);
    if (seen.size === 1 && type === "add") {
      cache.put("m4999", "new");
      cache.remove("m4998");
    }
  });
  informer.start();
  await informer.synced;
  await settled();
  expect(seen.size).toBe(5_000);
  expect(seen.get("m4999")).toEqual(["add old", "update new"]);
  expect(seen.get("m4998")).toEqual(["add old", "delete old"]);
  expect(informer.lister.byIndex("value", "new").map(({ metadata }) => metadata.name)).toEqual(["m4999"]);
  expect(informer.lister.byIndex("value", "old")).toHaveLength(4_998);
  await informer.stop();
});

test("nothing is parsed that nobody looks at", async () => {
  const cache = new HandCache();
  for (let index = 0; index < 100; index++) cache.put(`m${index}`, "1");
  const informer = new SharedInformer(cache, configMaps);
  let events = 0;
  informer.addHandler(() => {
    events += 1;
  });
  informer.start();
  await informer.caughtUp();
  expect([events, cache.parsed]).toEqual([100, 0]);
  await informer.stop();
});

test("who may not read waits, and stopping ends the wait", async () => {
  const cache = new HandCache();
  cache.put("x", "1");
  cache.permission = Promise.reject(new Error("forbidden"));
  cache.permission.catch(() => undefined);
  const informer = new SharedInformer(cache, configMaps);
  informer.start();
  await settled();
  expect([informer.hasSynced, informer.lister.get("a/x")]).toEqual([false, undefined]);
  await informer.stop();
  await expect(informer.synced).rejects.toThrow("was stopped");
});
