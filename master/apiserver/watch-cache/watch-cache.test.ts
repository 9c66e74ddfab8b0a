import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { until } from "#shared/testing/until.ts";
import { SlowWatcherError, type Store, StoreUnavailableError } from "../../store/store.ts";
import { rejection } from "../../store/store-contract.ts";
import { openMemoryStore } from "../../store/testing/memory-store.ts";
import { CacheHub } from "./cache-hub.ts";
import type { CacheEvent } from "./event-history.ts";
import type { ResourceCache } from "./resource-cache.ts";
import { parseFrozen, servedText, toStoredText } from "./stored-text.ts";

const object = (name: string, value: string): KubeObject =>
  ({
    kind: "Thing",
    metadata: { name, namespace: "a", labels: { value }, resourceVersion: "7" },
    apiVersion: "v1",
    value,
  }) as KubeObject;

/** A store with some of its ways replaced. */
const storeOver = (inner: Store, own: Partial<Store>): Store => ({
  isShared: inner.isShared,
  get: (key) => inner.get(key),
  list: (prefix, range) => inner.list(prefix, range),
  create: (key, value) => inner.create(key, value),
  update: (key, value, expected) => inner.update(key, value, expected),
  delete: (key, expected) => inner.delete(key, expected),
  watch: (prefix, after, signal) => inner.watch(prefix, after, signal),
  compact: (revision) => inner.compact(revision),
  now: () => inner.now(),
  oldest: (within) => inner.oldest(within),
  close: () => inner.close(),
  ...own,
});

describe("stored text", () => {
  test("begins with type and metadata, without a revision, which is spliced in", () => {
    const stored = toStoredText(object("x", "1"));
    expect(stored).toStartWith('{"apiVersion":"v1","kind":"Thing","metadata":{"name":"x"');
    expect(stored).not.toContain("resourceVersion");
    expect(JSON.parse(servedText(stored, 12)).metadata.resourceVersion).toBe("12");
    const other = JSON.parse(servedText(stored, 12, '{"apiVersion":"v2","kind":"Thing",'));
    expect([other.apiVersion, other.metadata.name]).toEqual(["v2", "x"]);
  });

  test("loses no digits and gives frozen views", () => {
    const text = '{"apiVersion":"v1","kind":"T","metadata":{"name":"x"},"big":9007199254740993,"one":1.0,"e":1e3}';
    const view = parseFrozen(text);
    expect(JSON.stringify(view)).toBe(text);
    expect(Object.isFrozen(view.metadata)).toBe(true);
  });
});

describe("watch cache", () => {
  let store: Store;
  let hub: CacheHub;
  let cache: ResourceCache;
  let reports: string[];
  beforeEach(async () => {
    store = openMemoryStore();
    reports = [];
    await put("before", "0");
    hub = new CacheHub(store, (message) => reports.push(message));
    cache = await hub.attach("/registry/things/", (view) => ({ labels: view.metadata.labels, fields: {} }));
    await hub.start();
  });
  afterEach(async () => {
    hub.stop();
    await store.close();
  });

  const put = (name: string, value: string): Promise<number> =>
    store.create(`/registry/things/a/${name}`, toStoredText(object(name, value)));
  const names = (entries: readonly { readonly name: string }[] | undefined): string[] | undefined =>
    entries?.map(({ name }) => name);

  test("shows what was there and, once waited for, what was written", async () => {
    expect(names(cache.list())).toEqual(["before"]);
    const revision = await put("b", "1");
    await hub.waitFor(revision);
    expect(hub.revision).toBe(revision);
    expect(cache.get("a/b")?.view().metadata.resourceVersion).toBe(String(revision));
    expect(names(cache.list("a"))).toEqual(["b", "before"]);
    expect(names(cache.list("none"))).toEqual([]);
  });

  test("shows earlier moments out of its history", async () => {
    const first = await put("b", "1");
    const second = await store.update("/registry/things/a/b", toStoredText(object("b", "2")), first);
    const third = await store.delete("/registry/things/a/b", second);
    await hub.waitFor(third);
    expect(cache.listAt(first)?.map((entry) => entry.indexed.labels?.["value"])).toEqual(["1", "0"]);
    expect(cache.listAt(second)?.map((entry) => entry.indexed.labels?.["value"])).toEqual(["2", "0"]);
    expect(names(cache.listAt(third))).toEqual(["before"]);
  });

  test("gives a subscriber what it missed, then what comes", async () => {
    const first = await put("b", "1");
    await hub.waitFor(await put("c", "1"));
    const events: CacheEvent[] = [];
    const stop = cache.subscribe(
      first,
      (event) => events.push(event),
      () => undefined,
    );
    await hub.waitFor(await store.delete("/registry/things/a/b", first));
    expect(events.map(({ type, entry }) => `${type} ${entry.name}`)).toEqual(["ADDED c", "DELETED b"]);
    stop();
    await hub.waitFor(await put("d", "1"));
    expect(events).toHaveLength(2);
  });

  test("a cache that comes after the start has the history from before it, and what comes while it is filled", async () => {
    const other = (name: string): string => `/registry/g.example.com/others/a/${name}`;
    const indexer = (view: KubeObject) => ({ labels: view.metadata.labels, fields: {} });
    const first = await store.create(other("x"), toStoredText(object("x", "1")));
    const second = await store.update(other("x"), toStoredText(object("x", "2")), first);
    hub.stop();
    hub = new CacheHub(store, (message) => reports.push(message));
    await hub.attach("/registry/things/", indexer);
    await hub.start();
    const third = await store.create(other("y"), toStoredText(object("y", "1")));
    await hub.waitFor(third);
    const attaching = hub.attach("/registry/g.example.com/others/", indexer);
    const fourth = await store.delete(other("x"), second);
    const late = await attaching;
    await hub.waitFor(fourth);
    const events: string[] = [];
    late.subscribe(
      first,
      ({ type, entry, revision }) => events.push(`${type} ${entry.name} ${revision}`),
      () => undefined,
    );
    expect(events).toEqual([`MODIFIED x ${second}`, `ADDED y ${third}`, `DELETED x ${fourth}`]);
    expect(names(late.list())).toEqual(["y"]);

    hub.detach(late);
    const again = await hub.attach("/registry/g.example.com/others/", indexer);
    expect(names(again.list())).toEqual(["y"]);
    expect(() =>
      again.subscribe(
        first,
        () => undefined,
        () => undefined,
      ),
    ).toThrow(StatusError);
  });

  test("refuses to resume from what it no longer knows", async () => {
    cache.reset([], 100);
    const subscribe = () =>
      cache.subscribe(
        50,
        () => undefined,
        () => undefined,
      );
    expect(subscribe).toThrow(StatusError);
  });

  test("gives up what is old, but for the last events", async () => {
    const start = hub.revision;
    let last = 0;
    for (let index = 0; index < 400; index += 1) last = await put(`n${index}`, "1");
    await hub.waitFor(last);
    const resumes = (after: number): number => {
      let heard = 0;
      cache.subscribe(
        after,
        () => {
          heard += 1;
        },
        () => undefined,
      )();
      return heard;
    };
    cache.forgetBefore(0);
    expect(resumes(start)).toBe(400);
    cache.forgetBefore(performance.now());
    expect(() => resumes(start)).toThrow(StatusError);
    expect(resumes(cache.historyStart)).toBeGreaterThanOrEqual(128);
    expect(resumes(cache.historyStart)).toBeLessThan(200);
    cache.forgetBefore(performance.now());
    expect(resumes(cache.historyStart)).toBeGreaterThanOrEqual(128);
  });

  test("over a gap, watches end and readers inside hear the difference", async () => {
    const heard: string[] = [];
    let closed = false;
    cache.listen(({ type, entry }) => heard.push(`${type} ${entry.name}`));
    cache.subscribe(
      hub.revision,
      () => undefined,
      () => {
        closed = true;
      },
    );
    cache.reset([{ key: "/registry/things/a/new", value: toStoredText(object("new", "1")), revision: 90 }], 100);
    expect(closed).toBe(true);
    expect(heard).toEqual(["DELETED before", "ADDED new"]);
  });

  test("a resource that is attached later starts with what is stored", async () => {
    await hub.waitFor(await store.create("/registry/example.com/toys/a/t", toStoredText(object("t", "1"))));
    const toys = await hub.attach("/registry/example.com/toys/", () => ({ labels: undefined, fields: {} }));
    expect(names(toys.list())).toEqual(["t"]);
    await hub.waitFor(await store.create("/registry/example.com/toys/a/u", toStoredText(object("u", "1"))));
    expect(names(toys.list())).toEqual(["t", "u"]);
  });

  test("leaves out a value that is no object, says so, and goes on with all others", async () => {
    const heard: string[] = [];
    const unsubscribe = cache.subscribe(
      hub.revision,
      ({ type, entry }) => heard.push(`${type} ${entry.name}`),
      () => undefined,
    );
    const key = "/registry/things/a/bad";
    const good = await store.create(key, toStoredText(object("bad", "1")));
    await store.update(key, '{"apiVersion":"v1","kind":"Thing"}', good);
    await store.create("/registry/things/a/worse", "not JSON");
    await hub.waitFor(await put("good", "1"));
    unsubscribe();
    expect(heard).toEqual(["ADDED bad", "DELETED bad", "ADDED good"]);
    expect(names(cache.list())).toEqual(["before", "good"]);
    expect(names(cache.entriesOf((await store.list("/registry/things/")).items))).toEqual(["before", "good"]);
    expect(reports.map((text) => text.split(" ")[0])).toContain("/registry/things/a/worse");

    const later = new CacheHub(store, (message) => reports.push(message));
    const filled = await later.attach("/registry/things/", ({ metadata }) => ({ labels: metadata.labels, fields: {} }));
    await later.start();
    expect(names(filled.list())).toEqual(["before", "good"]);
    later.stop();
  });

  test("a watch that fails ends, and others go on", async () => {
    const heard: string[] = [];
    let isClosed = false;
    const failing = (): void => {
      throw new Error("it cannot be written");
    };
    cache.subscribe(hub.revision, failing, () => {
      isClosed = true;
    });
    cache.listen(failing);
    cache.listen(({ entry }) => heard.push(entry.name));
    await hub.waitFor(await put("one", "1"));
    await hub.waitFor(await put("two", "2"));
    expect(heard).toEqual(["one", "two"]);
    expect(isClosed).toBe(true);
    expect(reports).toHaveLength(3);
  });

  test("gives up on a revision that does not come", async () => {
    const error = await hub.waitForClient(hub.revision + 1000, 1).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 504, reason: "Timeout" });
  });
});

describe("a cache that comes after the start", () => {
  const prefix = "/registry/g.example.com/toys/";
  const indexer = (view: KubeObject) => ({ labels: view.metadata.labels, fields: {} });
  const text = (name: string, value = "1"): string => toStoredText(object(name, value));
  const shown = (cache: ResourceCache): string[] =>
    cache.list().map(({ name, indexed }) => `${name} ${indexed.labels?.["value"]}`);
  /** From now on a cache begins with the present, and not with the history from before it came. */
  const fromNow = async (hub: CacheHub): Promise<void> =>
    hub.detach(await hub.attach("/registry/g.example.com/others/", indexer));
  let inner: Store;
  beforeEach(() => {
    inner = openMemoryStore();
  });
  afterEach(() => inner.close());

  test("can be had once the store lists again, after it did not", async () => {
    let isAway = true;
    const store = storeOver(inner, {
      list: (...asked) =>
        isAway ? Promise.reject(new StoreUnavailableError("no majority answers")) : inner.list(...asked),
    });
    const hub = new CacheHub(store, () => undefined);
    await hub.start();
    await inner.create(`${prefix}a/x`, text("x"));
    expect(await rejection(hub.attach(prefix, indexer))).toBeInstanceOf(StoreUnavailableError);
    await hub.waitFor(await inner.create(`${prefix}a/y`, text("y")));
    isAway = false;
    const cache = await hub.attach(prefix, indexer);
    expect(shown(cache)).toEqual(["x 1", "y 1"]);
    hub.stop();
  });

  test("shows the present where the watch had a gap while it was filled", async () => {
    const watching = Promise.withResolvers<void>();
    const broken = Promise.withResolvers<void>();
    const listed = Promise.withResolvers<void>();
    let watches = 0;
    let lists = 0;
    const store = storeOver(inner, {
      async *watch(root, after, signal) {
        watches += 1;
        if (watches > 1) {
          yield* inner.watch(root, after, signal);
          return;
        }
        yield { events: [], revision: after };
        watching.resolve();
        await broken.promise;
        throw new SlowWatcherError("too far behind");
      },
      async list(root, range) {
        if (root === prefix) lists += 1;
        const isFirst = root === prefix && lists === 1;
        const found = await inner.list(root, range);
        if (isFirst) await listed.promise;
        return found;
      },
    });
    const gone = await inner.create(`${prefix}a/gone`, text("gone"));
    const changed = await inner.create(`${prefix}a/changed`, text("changed"));
    const hub = new CacheHub(store, () => undefined);
    const starting = hub.start();
    await watching.promise;
    await fromNow(hub);
    const attaching = hub.attach(prefix, indexer);
    await inner.delete(`${prefix}a/gone`, gone);
    await inner.update(`${prefix}a/changed`, text("changed", "2"), changed);
    broken.resolve();
    await until("the watch begins anew", () => watches === 2);
    listed.resolve();
    await starting;
    const cache = await attaching;
    await hub.waitFor(await inner.create(`${prefix}a/new`, text("new")));
    expect(shown(cache)).toEqual(["changed 2", "new 1"]);
    hub.stop();
  });

  test("shows nothing that the others have yet to hear of", async () => {
    const told = Promise.withResolvers<void>();
    const store = storeOver(inner, {
      async *watch(root, after, signal) {
        for await (const batch of inner.watch(root, after, signal)) {
          if (batch.events.length > 0) await told.promise;
          yield batch;
        }
      },
      // The watch tells of it when whoever has listed it has long gone on.
      async list(root, range) {
        const found = await inner.list(root, range);
        if (root === prefix) setImmediate(told.resolve);
        return found;
      },
    });
    const hub = new CacheHub(store, () => undefined);
    await hub.start();
    await fromNow(hub);
    const revision = await inner.create(`${prefix}a/x`, text("x"));
    const cache = await hub.attach(prefix, indexer);
    expect(shown(cache)).toEqual(["x 1"]);
    expect(hub.revision).toBe(revision);
    hub.stop();
  });
});

describe("values that cannot be read for now", () => {
  /** As a store tells of them whose key service is away. */
  class AwayStore {
    isAway = false;
    constructor(readonly inner: Store) {}

    store(): Store {
      const { inner } = this;
      const shown = <T extends { readonly value: string }>(stored: T): T =>
        this.isAway ? { ...stored, value: "", sealed: "the service is away" } : stored;
      return storeOver(inner, {
        list: async (prefix, range) => {
          const listed = await inner.list(prefix, range);
          return { ...listed, items: listed.items.map(shown) };
        },
        async *watch(prefix, after, signal) {
          for await (const { events, revision } of inner.watch(prefix, after, signal))
            yield { events: events.map((event) => (event.type === "delete" ? event : shown(event))), revision };
        },
      });
    }
  }

  const prefix = "/registry/things/";
  const write = (store: Store, name: string, value: string, expected?: number): Promise<number> => {
    const text = toStoredText(object(name, value));
    const key = `${prefix}a/${name}`;
    return expected === undefined ? store.create(key, text) : store.update(key, text, expected);
  };

  test("are not shown as deleted: watches end, and readers inside hear of them once they can be read", async () => {
    const away = new AwayStore(openMemoryStore());
    const store = away.store();
    const first = await write(store, "one", "1");
    const gone = await write(store, "gone", "1");
    const hub = new CacheHub(store, () => undefined);
    const cache = await hub.attach(prefix, (view) => ({ labels: view.metadata.labels, fields: {} }));
    await hub.start();
    const heard: string[] = [];
    cache.listen(({ type, entry }) => heard.push(`${type} ${entry.name} ${entry.indexed.labels?.["value"]}`));
    const ended = Promise.withResolvers<void>();
    cache.subscribe(hub.revision, () => undefined, ended.resolve);

    away.isAway = true;
    await write(store, "one", "2", first);
    await write(store, "two", "1");
    const doubted = await write(store, "gone", "2", gone);
    await hub.waitFor(await store.delete(`${prefix}a/gone`, doubted));
    await ended.promise;
    expect(cache.sealed.first("a")).toMatchObject({ key: "a/one", why: "the service is away" });
    expect(cache.sealed.first("b")).toBeUndefined();
    expect(cache.get("a/one")).toBeUndefined();
    expect(cache.sealed.at("a/gone")).toBeUndefined();
    expect(heard).toEqual(["DELETED gone 1"]);

    away.isAway = false;
    await until("all can be read", () => cache.sealed.first() === undefined);
    expect(cache.list().map(({ name, indexed }) => [name, indexed.labels?.["value"]])).toEqual([
      ["one", "2"],
      ["two", "1"],
    ]);
    expect(heard.slice(1).sort()).toEqual(["ADDED two 1", "MODIFIED one 2"]);
    // Who was there before has missed what came meanwhile.
    expect(() =>
      cache.subscribe(
        first,
        () => undefined,
        () => undefined,
      ),
    ).toThrow("too old resource version");
    const next = await write(store, "three", "1");
    await hub.waitFor(next);
    expect(cache.get("a/three")).toBeDefined();
    hub.stop();
    await store.close();
  });
});
