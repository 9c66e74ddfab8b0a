/** What every Store promises, run against each implementation (master/store/*.test.ts). */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { compareKeys } from "./key-order.ts";
import {
  CompactedError,
  FutureRevisionError,
  KeyExistsError,
  RevisionMismatchError,
  type Store,
  type StoreEvent,
} from "./store.ts";

export interface StoreBackend {
  readonly name: string;
  /** Every key rests in memory; `oldest` speaks of the others. */
  readonly isVolatile?: boolean;
  /** A new, empty store, and what removes it. */
  open(): Promise<{ store: Store; remove(): Promise<void> }>;
}

/** The next `count` events of a watch. */
export async function take(
  store: Store,
  prefix: string,
  after: number,
  count: number,
  signal?: AbortSignal,
): Promise<StoreEvent[]> {
  const stop = new AbortController();
  const events: StoreEvent[] = [];
  for await (const batch of store.watch(prefix, after, signal ?? stop.signal)) {
    events.push(...batch.events);
    if (events.length >= count) break;
  }
  return events;
}

/** What `work` rejects with; throws when it does not. */
export async function rejection(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

export function describeStoreContract(backend: StoreBackend): void {
  describe(`store: ${backend.name}`, () => {
    let store: Store;
    let remove: () => Promise<void>;
    beforeEach(async () => {
      ({ store, remove } = await backend.open());
    });
    afterEach(async () => {
      await remove();
    });

    test("keeps what was created, under one increasing revision", async () => {
      const first = await store.create("/registry/a/x", '{"n":1}');
      const second = await store.create("/registry/a/y", '{"n":"ü–🥧"}');
      expect(second).toBeGreaterThan(first);
      expect(await store.get("/registry/a/x")).toEqual({ key: "/registry/a/x", value: '{"n":1}', revision: first });
      expect((await store.get("/registry/a/y"))?.value).toBe('{"n":"ü–🥧"}');
      expect(await store.get("/registry/a/z")).toBeUndefined();
      expect(await store.now()).toBe(second);
    });

    test("refuses to create what exists", async () => {
      await store.create("/registry/a/x", "1");
      expect(await rejection(store.create("/registry/a/x", "2"))).toBeInstanceOf(KeyExistsError);
      expect((await store.get("/registry/a/x"))?.value).toBe("1");
    });

    test("updates and deletes only what was seen last", async () => {
      const first = await store.create("/registry/a/x", "1");
      const second = await store.update("/registry/a/x", "2", first);
      const stale = await rejection(store.update("/registry/a/x", "3", first));
      expect(stale).toBeInstanceOf(RevisionMismatchError);
      expect((stale as RevisionMismatchError).current).toEqual({ key: "/registry/a/x", value: "2", revision: second });
      expect(await rejection(store.delete("/registry/a/x", first))).toBeInstanceOf(RevisionMismatchError);
      expect(await store.delete("/registry/a/x", second)).toBeGreaterThan(second);
      const gone = await rejection(store.update("/registry/a/x", "4", second));
      expect((gone as RevisionMismatchError).current).toBeUndefined();
      expect(await rejection(store.delete("/registry/a/none", 1))).toBeInstanceOf(RevisionMismatchError);
    });

    test("one failed comparison does not undo writes beside it", async () => {
      await store.create("/registry/a/x", "1");
      const results = await Promise.allSettled([
        store.create("/registry/a/y", "1"),
        store.create("/registry/a/x", "2"),
        store.create("/registry/a/z", "1"),
      ]);
      expect(results.map((result) => result.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      const list = await store.list("/registry/a/");
      expect(list.items.map((item) => item.key)).toEqual(["/registry/a/x", "/registry/a/y", "/registry/a/z"]);
    });

    test("exactly one of many racing updates wins", async () => {
      const revision = await store.create("/registry/a/x", "0");
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) => store.update("/registry/a/x", String(n), revision)),
      );
      expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
    });

    test("lists a prefix in key order, in pages, and nothing beside it", async () => {
      for (const key of ["/registry/b/3", "/registry/b/1", "/registry/bb/1", "/registry/b/2", "/registry/a/1"]) {
        await store.create(key, key);
      }
      const all = await store.list("/registry/b/");
      expect(all.items.map((item) => item.key)).toEqual(["/registry/b/1", "/registry/b/2", "/registry/b/3"]);
      expect(all.more).toBe(false);
      expect(all.revision).toBe(await store.now());
      const page = await store.list("/registry/b/", { limit: 2 });
      expect(page.items.map((item) => item.key)).toEqual(["/registry/b/1", "/registry/b/2"]);
      expect(page.more).toBe(true);
      const rest = await store.list("/registry/b/", { limit: 2, startAfter: "/registry/b/2", revision: page.revision });
      expect(rest.items.map((item) => item.key)).toEqual(["/registry/b/3"]);
      expect(rest.more).toBe(false);
    });

    test("lists in the order of the keys' bytes in UTF-8", async () => {
      const names = ["a", "a\0", "\ue000", "\uffff", "\u{1f600}", "\u{1f600}a", "\u{10ffff}"];
      for (const name of names.toReversed()) await store.create(`/registry/names/${name}`, name);
      const listed: string[] = [];
      for (let more = true; more; ) {
        const startAfter = listed.length > 0 ? `/registry/names/${listed.at(-1)}` : undefined;
        const page = await store.list("/registry/names/", { limit: 2, startAfter });
        listed.push(...page.items.map(({ value }) => value));
        more = page.more;
      }
      expect(listed).toEqual(names);
      expect(names.toReversed().sort(compareKeys)).toEqual(names);
    });

    test("lists as of a revision", async () => {
      const x1 = await store.create("/registry/a/x", "x1");
      const y1 = await store.create("/registry/a/y", "y1");
      const x2 = await store.update("/registry/a/x", "x2", x1);
      const gone = await store.delete("/registry/a/y", y1);
      await store.create("/registry/a/y", "y2");
      const shown = async (revision: number): Promise<string[]> =>
        (await store.list("/registry/a/", { revision })).items.map((item) => item.value);
      expect(await shown(x1)).toEqual(["x1"]);
      expect(await shown(y1)).toEqual(["x1", "y1"]);
      expect(await shown(x2)).toEqual(["x2", "y1"]);
      expect(await shown(gone)).toEqual(["x2"]);
      expect(await shown(await store.now())).toEqual(["x2", "y2"]);
      const future = (await store.now()) + 1;
      expect(await rejection(store.list("/registry/a/", { revision: future }))).toBeInstanceOf(FutureRevisionError);
    });

    test("a watch gives what was missed and what comes, once and in order", async () => {
      const x1 = await store.create("/registry/a/x", "1");
      const x2 = await store.update("/registry/a/x", "2", x1);
      const watched = take(store, "/registry/a/", x1, 4);
      await store.create("/registry/b/x", "other");
      const y1 = await store.create("/registry/a/y", "y");
      const gone = await store.delete("/registry/a/x", x2);
      const again = await store.create("/registry/a/x", "3");
      expect(await watched).toEqual([
        { type: "put", key: "/registry/a/x", value: "2", revision: x2, created: false },
        { type: "put", key: "/registry/a/y", value: "y", revision: y1, created: true },
        { type: "delete", key: "/registry/a/x", revision: gone },
        { type: "put", key: "/registry/a/x", value: "3", revision: again, created: true },
      ]);
    });

    test("a watch that begins among many writes loses none", async () => {
      const writes: Promise<number>[] = [];
      for (let n = 0; n < 50; n += 1) writes.push(store.create(`/registry/a/${n}`, "early"));
      const watched = take(store, "/registry/a/", 0, 100);
      for (let n = 50; n < 100; n += 1) writes.push(store.create(`/registry/a/${n}`, "late"));
      const revisions = await Promise.all(writes);
      expect((await watched).map((event) => event.revision)).toEqual([...revisions].sort((a, b) => a - b));
    });

    test("a watch ends with its signal", async () => {
      const stop = new AbortController();
      const watched = take(store, "/registry/a/", 0, 1, stop.signal);
      stop.abort();
      expect(await watched).toEqual([]);
    });

    test("a watch says how far it has come, also by changes elsewhere", async () => {
      const stop = new AbortController();
      const reached = (async () => {
        for await (const batch of store.watch("/registry/a/", 0, stop.signal)) {
          if (batch.revision >= 3) return batch.revision;
        }
        return 0;
      })();
      for (let n = 0; n < 3; n += 1) await store.create(`/registry/b/${n}`, "x");
      expect(await reached).toBeGreaterThanOrEqual(3);
    });

    test.skipIf(backend.isVolatile === true)("says from where no more than so many changes follow", async () => {
      const revisions: number[] = [];
      for (const name of ["a", "b", "c", "d"]) revisions.push(await store.create(`/registry/a/${name}`, name));
      const from = await store.oldest(2);
      expect(from).toBeGreaterThanOrEqual(revisions[1] as number);
      expect(from).toBeLessThan(revisions[2] as number);
      expect((await store.list("/registry/a/", { revision: from })).items.map(({ value }) => value)).toEqual([
        "a",
        "b",
      ]);
      const seen = await take(store, "/registry/a/", from, 2);
      expect(seen.map(({ revision }) => revision)).toEqual(revisions.slice(2));
      expect(await store.oldest(100)).toBe(await store.oldest());
    });

    test("compaction forgets history and keeps what is present", async () => {
      const x1 = await store.create("/registry/a/x", "1");
      const x2 = await store.update("/registry/a/x", "2", x1);
      const y1 = await store.create("/registry/a/y", "y");
      await store.delete("/registry/a/y", y1);
      await store.compact(await store.now());
      expect(await rejection(store.list("/registry/a/", { revision: x1 }))).toBeInstanceOf(CompactedError);
      expect(await rejection(take(store, "/registry/a/", x1, 1))).toBeInstanceOf(CompactedError);
      const now = await store.list("/registry/a/");
      expect(now.items).toEqual([{ key: "/registry/a/x", value: "2", revision: x2 }]);
      const x3 = await store.update("/registry/a/x", "3", x2);
      expect((await store.list("/registry/a/", { revision: x3 - 1 })).items.map((item) => item.value)).toEqual(["2"]);
      expect(await take(store, "/registry/a/", x3 - 1, 1)).toEqual([
        { type: "put", key: "/registry/a/x", value: "3", revision: x3, created: false },
      ]);
    });
  });
}
