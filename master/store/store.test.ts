import { Database } from "bun:sqlite";
import { afterEach, describe, expect, spyOn, test } from "bun:test";
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { replaceBy, StoreDamagedError } from "./database-file.ts";
import { RoutedEngine } from "./routed-engine.ts";
import { SqliteEngine } from "./sqlite-engine.ts";
import { openSqliteStore, type SqliteOptions, salvageSqliteStore, singleMasterRoutes } from "./sqlite-store.ts";
import { CompactedError, type Store, StoreUnavailableError } from "./store.ts";
import { describeStoreContract, rejection, take } from "./store-contract.ts";
import { openMemoryStore } from "./testing/memory-store.ts";
import { plainText } from "./value-transformer.ts";

describeStoreContract({
  name: "memory",
  async open() {
    const store = openMemoryStore();
    return { store, remove: () => store.close() };
  },
});

test.each([
  ["in memory", async () => openMemoryStore()],
  ["sqlite", () => openSqliteStore({ path: join(mkdtempSync(join(tmpdir(), "bramble-store-")), "state.db") })],
] as const)("%s: a store that is closed says so, whatever it is asked", async (_, open) => {
  const store = await open();
  const closed = store.close();
  const whileClosing = store.get("/registry/a/x").then(
    () => undefined,
    () => undefined,
  );
  await closed;
  // Answered or refused, but not left waiting.
  await whileClosing;
  const asked = [
    store.get("/registry/a/x"),
    store.list("/registry/a/"),
    store.now(),
    store.oldest(),
    store.compact(1),
    store.create("/registry/a/x", "1"),
  ];
  for (const each of asked) expect(await rejection(each)).toBeInstanceOf(StoreUnavailableError);
});

/** Says how opening the store at its argument went. */
const openElsewhere = `
  import { openSqliteStore } from "./sqlite-store.ts";
  console.log(await openSqliteStore({ path: process.argv[1] }).then(() => "open", (error) => error.name));
  process.exit(0);`;

const everythingVolatile: Partial<SqliteOptions> = {
  routes: { volatile: ["/registry/"], batched: [], quiet: [] },
};

for (const [name, options] of [
  ["sqlite", {}],
  ["sqlite, volatile keys", everythingVolatile],
] as const) {
  describeStoreContract({
    name,
    isVolatile: options === everythingVolatile,
    async open() {
      const folder = mkdtempSync(join(tmpdir(), "bramble-store-"));
      const store = await openSqliteStore({ path: join(folder, "state.db"), ...options });
      return {
        store,
        async remove() {
          await store.close();
          rmSync(folder, { recursive: true });
        },
      };
    },
  });
}

describe("sqlite store over restarts", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });
  const newPath = (): string => {
    const folder = mkdtempSync(join(tmpdir(), "bramble-store-"));
    folders.push(folder);
    return join(folder, "state.db");
  };
  const lease = (renewTime: string, holder = "a"): string =>
    `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"x"},"spec":{"holderIdentity":"${holder}","renewTime":"${renewTime}"}}`;
  /** The files as a power cut would leave them now, without a close, at another path: a store that is open has its file for itself. */
  const cutOf = (path: string): string => {
    const copy = newPath();
    for (const suffix of ["", "-wal"]) if (existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix);
    return copy;
  };
  const reopen = (path: string): Promise<Store> => openSqliteStore({ path });
  const reopenCut = (path: string): Promise<Store> => reopen(cutOf(path));

  test("durable keys and their history are there again; revisions are never given twice", async () => {
    const path = newPath();
    const store = await openSqliteStore({ path });
    const x1 = await store.create("/registry/pods/a/x", "1");
    const x2 = await store.update("/registry/pods/a/x", "2", x1);
    const node = await store.create("/registry/leases/kube-node-lease/n", "volatile");
    const again = await reopenCut(path);
    expect(await again.get("/registry/pods/a/x")).toEqual({ key: "/registry/pods/a/x", value: "2", revision: x2 });
    expect(await again.get("/registry/leases/kube-node-lease/n")).toBeUndefined();
    expect(await take(again, "/registry/pods/", x1, 1)).toHaveLength(1);
    const next = await again.create("/registry/pods/a/y", "1");
    expect(next).toBeGreaterThan(node);
    await store.close();
    await again.close();
  });

  test("a store that is open is nobody else's, and keeps no index of its log on the disk", async () => {
    const path = newPath();
    const store = await openSqliteStore({ path });
    const revision = await store.create("/registry/pods/a/x", "1");
    expect(existsSync(`${path}-shm`)).toBe(false);
    const other = Bun.spawnSync({
      cmd: [process.execPath, "-e", openElsewhere, path],
      cwd: import.meta.dir,
      stderr: "pipe",
    });
    expect(other.stdout.toString()).toContain("StoreUnavailableError");
    await store.update("/registry/pods/a/x", "2", revision);
    await store.close();
    const again = await reopen(path);
    expect((await again.get("/registry/pods/a/x"))?.value).toBe("2");
    await again.close();
  });

  test("a watch from before the start on volatile keys has expired", async () => {
    const path = newPath();
    const store = await openSqliteStore({ path });
    const revision = await store.create("/registry/leases/kube-node-lease/n", "1");
    await store.close();
    const again = await reopen(path);
    const watched = take(again, "/registry/leases/kube-node-lease/", revision - 1, 1);
    expect(await rejection(watched)).toBeInstanceOf(CompactedError);
    await again.close();
  });

  test("a Lease is on the disk when its holder changes, not when it is renewed", async () => {
    const path = newPath();
    const store = await openSqliteStore({ path });
    const key = "/registry/leases/kube-system/scheduler";
    const first = await store.create(key, lease("1"));
    const renewed = await store.update(key, lease("2"), first);
    const copy = await reopenCut(path);
    expect((await copy.get(key))?.value).toBe(lease("1"));
    await store.update(key, lease("3", "b"), renewed);
    const later = await reopenCut(path);
    expect((await later.get(key))?.value).toBe(lease("3", "b"));
    await Promise.all([store.close(), copy.close(), later.close()]);
  });

  test("compaction writes nothing where nothing on the disk is old", async () => {
    const path = newPath();
    const store = await openSqliteStore({ path });
    const first = await store.create("/registry/pods/a/x", "1");
    const before = onDisk(path);
    const renewed = await store.create("/registry/leases/kube-node-lease/n", "1");
    await store.compact(renewed);
    expect(onDisk(path)).toBe(before);
    expect(await rejection(take(store, "/registry/pods/", first - 1, 1))).toBeInstanceOf(CompactedError);
    // What is old goes all the same, however late.
    const second = await store.update("/registry/pods/a/x", "2", first);
    await store.compact(second);
    await store.close();
    const db = new Database(path, { readonly: true });
    expect(db.query("SELECT revision FROM log").all()).toEqual([{ revision: second }]);
    db.close();
  });

  const onDisk = (path: string): string =>
    Bun.hash(Buffer.concat([path, `${path}-wal`].map((file) => readFileSync(file)))).toString();
  const rowsOf = (path: string): number => {
    const db = new Database(cutOf(path));
    try {
      return db.query<{ n: number }, []>("SELECT COUNT(*) AS n FROM log").get()?.n ?? 0;
    } finally {
      db.close();
    }
  };

  test("history ends by time, but a few old rows stay on the disk until there are many", async () => {
    const path = newPath();
    // Every write cuts all history before it.
    const store = await openSqliteStore({ path, historyFor_ms: 0, mayStay: 10 });
    let revision = await store.create("/registry/pods/a/x", "0");
    const first = revision;
    const change = async (n: number): Promise<void> => {
      revision = await store.update("/registry/pods/a/x", String(n), revision);
    };
    for (let n = 1; n <= 8; n += 1) await change(n);
    expect(await store.oldest()).toBeGreaterThan(first);
    expect(await rejection(take(store, "/registry/pods/", first, 1))).toBeInstanceOf(CompactedError);
    expect(rowsOf(path)).toBe(9);
    // What stayed is whole, so whoever opens the file anew is shown all of it.
    const copy = await reopenCut(path);
    expect(await take(copy, "/registry/pods/", first, 8)).toHaveLength(8);
    await copy.close();
    for (let n = 9; n <= 40; n += 1) await change(n);
    // A reply comes after the last cut.
    await store.oldest();
    expect(rowsOf(path)).toBeLessThan(15);
    // Who asks for it has the rest gone too.
    await store.compact(revision);
    expect(rowsOf(path)).toBe(1);
    await store.close();
  });

  test("a compaction that finds a few old rows writes nothing", () => {
    const path = newPath();
    const engine = SqliteEngine.open(path);
    engine.transaction(() => {
      for (let n = 1; n <= 10; n += 1) engine.put("/registry/pods/a/x", String(n), n, n > 1 ? n - 1 : undefined);
    });
    const before = onDisk(path);
    engine.compact(5, 9);
    engine.compact(10, 9);
    expect(onDisk(path)).toBe(before);
    expect(engine.oldest()).toBe(10);
    engine.compact(10);
    expect(rowsOf(path)).toBe(1);
    engine.close();
  });

  const eventOf = (n: number): string => JSON.stringify({ metadata: { name: `e${n}` }, message: "m".repeat(1_100) });

  test("a batch of Events is written in little more than their bytes, and their end in a few pages", () => {
    const path = newPath();
    const sqlite = SqliteEngine.open(path);
    const engine = new RoutedEngine(sqlite, singleMasterRoutes);
    const keys = Array.from({ length: 60 }, (_, n) => `/registry/events/default/pod-${n}.18a7c0ffee${n}`);
    let written = statSync(`${path}-wal`).size;
    const sinceBefore = (): number => {
      const size = statSync(`${path}-wal`).size;
      const bytes = size - written;
      written = size;
      return bytes;
    };
    const write = (op: "create" | "delete"): void => {
      const writes = keys.map((key, id) =>
        op === "create" ? { op, id, key, value: eventOf(id) } : { op, id, key, expected: engine.revisionOf(key) ?? 0 },
      );
      for (const { kind } of engine.commit(writes)) expect(kind).toBe("committed");
    };
    write("create");
    sinceBefore();
    engine.flush();
    expect(sinceBefore()).toBeLessThan(1.6 * keys.length * eventOf(0).length);
    write("delete");
    engine.flush();
    expect(sinceBefore()).toBeLessThan(16 * 4_120);
    engine.close();
  });

  test("a value that cannot be read fails the write that is compared with it, and none beside it", () => {
    const values = { toStorage: (_key: string, value: string) => value, fromStorage: plainText.fromStorage };
    const engine = new RoutedEngine(SqliteEngine.open(newPath(), values), singleMasterRoutes);
    const damaged = "/registry/pods/a/damaged";
    engine.commit([{ op: "create", id: 1, key: damaged, value: "1" }]);
    values.fromStorage = () => {
      throw new StoreUnavailableError("it is damaged");
    };
    const outcomes = engine.commit([
      { op: "create", id: 2, key: "/registry/pods/a/before", value: "1" },
      { op: "update", id: 3, key: damaged, value: "2", expected: 7 },
      { op: "create", id: 4, key: "/registry/pods/a/after", value: "1" },
      { op: "delete", id: 5, key: damaged, expected: 1 },
    ]);
    expect(outcomes).toEqual([
      { id: 2, kind: "committed", revision: 2 },
      { id: 3, kind: "failed", message: "it is damaged" },
      { id: 4, kind: "committed", revision: 3 },
      // Nobody need read what is deleted.
      { id: 5, kind: "committed", revision: 4 },
    ]);
    engine.close();
  });

  test("a value under a key that is not there is told as such where others are told too", async () => {
    const path = newPath();
    const keyFile = join(dirname(path), "one.key");
    const open = (file: string) =>
      openSqliteStore({ path, encryption: { keyFile: file, prefixes: ["/registry/secrets/"] } });
    const one = await open(keyFile);
    await one.create("/registry/secrets/a/x", "1");
    await one.close();
    const other = await open(`${keyFile}-other`);
    const sealed = expect.stringContaining("that this master does not have");
    const missing = expect.objectContaining({ key: "/registry/secrets/a/x", value: "", sealed });
    expect(await take(other, "/registry/", 0, 1)).toEqual([missing]);
    expect((await other.list("/registry/", { tellsSealed: true })).items).toEqual([missing]);
    expect(String(await rejection(other.list("/registry/")))).toContain("that this master does not have");
    await other.close();
  });

  /** An engine over a disk that refuses the value "refused". */
  const refusing = (): RoutedEngine => {
    const toStorage = (_key: string, value: string): string => {
      if (value === "refused") throw new Error("the disk refuses it");
      return value;
    };
    return new RoutedEngine(SqliteEngine.open(newPath(), { toStorage, fromStorage: (_key, value) => value }), {
      volatile: ["/registry/leases/kube-node-lease/"],
      batched: ["/registry/events/"],
      quiet: ["/registry/leases/"],
    });
  };

  test("what rests in memory stands, and is said to, where the disk refuses another write of its group", () => {
    const engine = refusing();
    const node = "/registry/leases/kube-node-lease/board";
    const leader = "/registry/leases/kube-system/leader";
    const kinds = engine
      .commit([
        { op: "create", id: 1, key: node, value: "1" },
        { op: "create", id: 2, key: "/registry/pods/a/x", value: "1" },
        { op: "create", id: 3, key: leader, value: "refused" },
        { op: "create", id: 4, key: "/registry/events/a/late", value: "1" },
      ])
      .map(({ kind }) => kind);
    expect(kinds).toEqual(["committed", "failed", "failed", "failed"]);
    const found = engine.list("/registry/", { now: engine.now }).items;
    expect(found.map(({ key, revision }) => [key, revision])).toEqual([[node, 1]]);
    // Whoever waits for the newest revision waits for one that somebody was told of.
    expect(engine.now).toBe(1);
    engine.close();
  });

  test("revisions that were reserved before the disk refused a write go on to be given without it", () => {
    const engine = refusing();
    const node = "/registry/leases/kube-node-lease/board";
    engine.commit([{ op: "create", id: 1, key: node, value: "1" }]);
    engine.commit([{ op: "create", id: 2, key: "/registry/pods/a/x", value: "refused" }]);
    const transactions = spyOn(SqliteEngine.prototype, "transaction");
    const [outcome] = engine.commit([{ op: "update", id: 3, key: node, value: "2", expected: 1 }]);
    expect(outcome).toEqual({ id: 3, kind: "committed", revision: 2 });
    expect(transactions).not.toHaveBeenCalled();
    transactions.mockRestore();
    engine.close();
  });

  test("batches of a file of an older version are there again, and later ones beside them", async () => {
    const path = newPath();
    SqliteEngine.open(path).close();
    const old = new Database(path, { strict: true });
    old.exec(`
      DROP TABLE batched;
      CREATE TABLE batched (key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
      INSERT INTO batched VALUES ('/registry/events/a/x', 'x', 3), ('/registry/events/a/y', 'y', 2);`);
    old.close();
    const store = await openSqliteStore({ path, after: 10 });
    expect((await store.list("/registry/events/")).items.map(({ value }) => value)).toEqual(["x", "y"]);
    await store.delete("/registry/events/a/y", 2);
    await store.update("/registry/events/a/x", "later", 3);
    await store.close();
    const again = await reopen(path);
    expect((await again.list("/registry/events/")).items.map(({ value }) => value)).toEqual(["later"]);
    await again.close();
  });

  test("Events reach the disk in batches and at a close", async () => {
    const path = newPath();
    const store = await openSqliteStore({ path });
    await store.create("/registry/events/a/x", "1");
    const cut = await reopenCut(path);
    expect(await cut.get("/registry/events/a/x")).toBeUndefined();
    await cut.close();
    await store.close();
    const again = await reopen(path);
    expect((await again.get("/registry/events/a/x"))?.value).toBe("1");
    await again.close();
  });

  test("keeps a bounded history", async () => {
    const path = newPath();
    const store = await openSqliteStore({ path, maxHistory: 20 });
    let revision = await store.create("/registry/pods/a/x", "0");
    for (let n = 1; n <= 100; n += 1) revision = await store.update("/registry/pods/a/x", String(n), revision);
    await store.close();
    expect(rowsOf(path)).toBeLessThanOrEqual(21);
  });

  test("a long history goes in steps, with writes in between, down to its bound", async () => {
    const path = newPath();
    const maxHistory = 6_000;
    const store = await openSqliteStore({ path, maxHistory });
    const keys = Array.from({ length: 100 }, (_, n) => `/registry/pods/a/x${n}`);
    let revisions = await Promise.all(keys.map((key) => store.create(key, "0")));
    const change = async (value: string): Promise<void> => {
      revisions = await Promise.all(keys.map((key, n) => store.update(key, value, revisions[n] as number)));
    };
    // The last of these begins the cut; what it is to reach takes several steps.
    for (let n = 1; n <= maxHistory / keys.length; n += 1) await change(String(n));
    const cut = (await store.now()) - maxHistory / 2;
    for (let n = 0; (await store.oldest()) < cut; n += 1) await change(`later ${n}`);
    await change("last");
    expect((await store.list("/registry/pods/", {})).items.map(({ value }) => value)).toEqual(keys.map(() => "last"));
    await store.close();
    expect(rowsOf(path)).toBeLessThan(maxHistory + keys.length);
  });

  test("Secrets rest encrypted, under a key that only root reads", async () => {
    const path = newPath();
    const keyFile = `${path}.key`;
    const options = { path, encryption: { keyFile, prefixes: ["/registry/secrets/"] } };
    const store = await openSqliteStore(options);
    const secret = '{"data":{"password":"aHVudGVyMg=="}}';
    await store.create("/registry/secrets/a/x", secret);
    await store.create("/registry/configmaps/a/x", '{"data":{"plain":"visible"}}');
    await store.close();
    const bytes = readFileSync(path, "latin1");
    expect(bytes).not.toContain("aHVudGVyMg");
    expect(bytes).toContain("visible");
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    const again = await openSqliteStore(options);
    expect((await again.get("/registry/secrets/a/x"))?.value).toBe(secret);
    await again.close();
  });

  const damageOf = (path: string): Promise<unknown> => rejection(reopen(path).then((store) => store.close()));

  async function filled(): Promise<string> {
    const path = newPath();
    const store = await openSqliteStore({ path });
    const value = "v".repeat(3000);
    for (let n = 0; n < 100; n += 1) await store.create(`/registry/pods/a/${String(n).padStart(3, "0")}`, value);
    await store.close();
    return path;
  }

  const change = (path: string, at: number, bytes: Buffer): void => {
    const file = openSync(path, "r+");
    writeSync(file, bytes, 0, bytes.length, at);
    closeSync(file);
  };

  test("a page that is overwritten is found at the start, and what can be read is saved", async () => {
    const path = await filled();
    change(path, 4096 * 40, Buffer.alloc(4096, 0xff));
    expect(await damageOf(path)).toBeInstanceOf(StoreDamagedError);
    const salvaged = await salvageSqliteStore(path);
    expect(salvaged.isWhole).toBe(false);
    expect(salvaged.rows).toBeGreaterThan(50);
    replaceBy(path);
    const again = await reopen(path);
    expect((await again.list("/registry/pods/")).items.length).toBeGreaterThan(50);
    expect(await again.create("/registry/pods/a/new", "1")).toBeGreaterThan(100);
    await again.close();
  });

  test("a single byte of a value that has changed is found at the start", async () => {
    const path = await filled();
    // In each page that holds or held one.
    const content = readFileSync(path);
    for (let at = content.indexOf("v".repeat(2900)); at >= 0; at = content.indexOf("v".repeat(2900), at + 4096))
      change(path, at + 1000, Buffer.from("w"));
    expect(await damageOf(path)).toBeInstanceOf(StoreDamagedError);
    expect(await salvageSqliteStore(path)).toMatchObject({ isWhole: false });
  });

  test.each([0, 3, 5000])("a file cut to %d bytes is not taken for a new store", async (size) => {
    const path = await filled();
    truncateSync(path, size);
    expect(await damageOf(path)).toBeInstanceOf(StoreDamagedError);
  });

  test("a file that is gone is not taken for a new store", async () => {
    const path = await filled();
    rmSync(path);
    expect(await damageOf(path)).toBeInstanceOf(StoreDamagedError);
  });

  test("of damaged files that were replaced only two are kept", async () => {
    const path = await filled();
    for (let n = 0; n < 4; n += 1) {
      await salvageSqliteStore(path);
      replaceBy(path);
      await Bun.sleep(1_000);
    }
    const kept = readdirSync(dirname(path)).filter((name) => name.startsWith(`${basename(path)}.damaged-`));
    expect(kept).toHaveLength(2);
  });
});
