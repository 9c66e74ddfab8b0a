/**
 * Keys in one SQLite file: `log` holds every change that is not compacted, `current` points to the newest one of each
 * present key. A value is written once, and old ones go in rare batches: that is what keeps a card alive.
 */
import { Database } from "bun:sqlite";
import { chmodSync, closeSync, existsSync, fdatasyncSync, openSync, readFileSync } from "node:fs";
import { Checkpoints, type LogLimits, openAlone } from "./checkpoints.ts";
import { assertPresent, finishReplacing, noteMade, StoreDamagedError, StoreSyncError } from "./database-file.ts";
import { type Engine, prefixEnd } from "./engine.ts";
import {
  CompactedError,
  FutureRevisionError,
  type ListRange,
  type ListResult,
  type Revision,
  type StoredValue,
  type StoreEvent,
  StoreUnavailableError,
} from "./store.ts";
import { openOrTell, plainText, type ValueTransformer } from "./value-transformer.ts";
import { lostTransactions } from "./wal-damage.ts";

const CREATE = 0;
const UPDATE = 1;
const DELETE = 2;

const schema = `
  CREATE TABLE IF NOT EXISTS log (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    value TEXT,
    kind INTEGER NOT NULL,
    previous INTEGER,
    sum INTEGER
  );
  CREATE TABLE IF NOT EXISTS current (key TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS batched (key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
`;

/** Older versions made `batched` WITHOUT ROWID, where a value of a kilobyte takes a page of its own. */
const batchedWithRowids = `
  BEGIN IMMEDIATE;
  ALTER TABLE batched RENAME TO batched_before;
  CREATE TABLE batched (key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL);
  INSERT INTO batched (key, value, revision) SELECT key, value, revision FROM batched_before ORDER BY revision;
  DROP TABLE batched_before;
  COMMIT;
`;

interface LogRow {
  readonly revision: number;
  readonly key: string;
  readonly value: string;
  readonly kind: number;
  /** Checksum of key and value; null in rows of older versions. */
  readonly sum: number | null;
}

/** SQLite checks the order of its pages, not what they hold. */
export const rowSum = (key: string, value: string): number => Bun.hash.crc32(value, Bun.hash.crc32(`${key}\n`));

/** What SQLite says of a file that is damaged, as opposed to one that cannot be reached. */
const saysDamaged = /malformed|corrupt|not a database/i;

export class SqliteEngine implements Engine {
  readonly #db: Database;
  readonly #transformer: ValueTransformer;
  /** File descriptor of the write-ahead log, of which each transaction is synced; none for a reader. */
  #log: number | undefined;
  /** What the last sync took. */
  #sync_ms = 0;
  /** None for a reader. */
  #checkpoints: Checkpoints | undefined;
  /** What clients are shown begins here. */
  #oldest: Revision;
  /** No change up to here has left an old row on the disk; between here and `#oldest` there are `#standing`. */
  #cleared: Revision;
  #standing = 0;

  private constructor(db: Database, transformer: ValueTransformer) {
    this.#db = db;
    this.#transformer = transformer;
    this.#oldest = this.number("compacted") ?? 0;
    this.#cleared = this.#oldest;
  }

  /** Opens or makes the file. Throws StoreDamagedError when anything of it is not as it was written. */
  static open(path: string, transformer: ValueTransformer = plainText, limits?: Partial<LogLimits>): SqliteEngine {
    finishReplacing(path);
    assertPresent(path);
    const log = `${path}-wal`;
    const lost = existsSync(log) ? lostTransactions(readFileSync(log)) : 0;
    if (lost > 0)
      throw new StoreDamagedError(path, `its log is damaged, and ${lost} groups of changes behind that`, true);
    let db: Database | undefined;
    try {
      db = openAlone(path);
      // SQLite makes a file that everybody may read, and others like that one.
      for (const file of [path, log, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o600);
      // FULL would sync each transaction with fsync, which has a file system write the file's times as well: a second wait for the
      // disk and another block of a card. Here it is done with fdatasync; NORMAL leaves the header of a log that begins anew to SQLite.
      db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
      const check = db.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get();
      if (check?.quick_check !== "ok")
        throw new StoreDamagedError(path, check?.quick_check ?? "no answer from quick_check");
      db.exec(schema);
      if (db.query("SELECT 1 FROM pragma_table_info('log') WHERE name = 'sum'").get() === null)
        db.exec("ALTER TABLE log ADD COLUMN sum INTEGER");
      if (db.query("SELECT 1 FROM pragma_table_list('batched') WHERE wr = 1").get() !== null)
        db.exec(batchedWithRowids);
      // After a kill the log may hold changes that are not on the disk yet: they must be before anybody is shown them.
      db.exec("PRAGMA wal_checkpoint(PASSIVE)");
      const engine = new SqliteEngine(db, transformer);
      engine.#log = openSync(log, "r");
      engine.#sync();
      engine.#assertWhole(path);
      noteMade(path);
      engine.#checkpoints = new Checkpoints(path, db, limits);
      return engine;
    } catch (error) {
      db?.close();
      if (error instanceof StoreDamagedError || !saysDamaged.test(String(error))) throw error;
      throw new StoreDamagedError(path, (error as Error).message);
    }
  }

  /** Every present value is as it was written. */
  #assertWhole(path: string): void {
    const dangling = this.#db
      .query<{ key: string }, []>(
        "SELECT c.key FROM current c LEFT JOIN log l ON l.revision = c.revision WHERE l.key IS NULL OR l.key <> c.key LIMIT 1",
      )
      .get();
    if (dangling) throw new StoreDamagedError(path, `the value of ${dangling.key} is gone`);
    const rows = this.#db
      .query<LogRow, []>("SELECT l.* FROM current c JOIN log l ON l.revision = c.revision")
      .iterate();
    for (const { key, value, sum } of rows)
      if (sum !== null && sum !== rowSum(key, value))
        throw new StoreDamagedError(path, `the value of ${key} is not what was written`);
  }

  /** For a reader while no master runs; never writes. */
  static openReadOnly(path: string, transformer: ValueTransformer = plainText): SqliteEngine {
    return new SqliteEngine(new Database(path, { readonly: true }), transformer);
  }

  /** A number kept beside the keys: the reserved revisions, the last compaction. */
  number(name: string): number | undefined {
    return this.#db.query<{ number: number }, [string]>("SELECT number FROM meta WHERE name = ?").get(name)?.number;
  }

  setNumber(name: string, number: number): void {
    this.#db.query("INSERT OR REPLACE INTO meta (name, number) VALUES (?, ?)").run(name, number);
  }

  /** The highest revision in the log. */
  newest(): Revision {
    return this.#db.query<{ newest: number | null }, []>("SELECT MAX(revision) AS newest FROM log").get()?.newest ?? 0;
  }

  /** Gives what `work` gives once it rests on the disk. Throws StoreSyncError when nobody can tell whether it does; after any other
   *  error nothing of it was done. */
  transaction<T>(work: () => T): T {
    this.tendLog();
    const before = this.#changes();
    this.#db.exec("BEGIN IMMEDIATE");
    let result: T;
    try {
      result = work();
      this.#db.exec("COMMIT");
    } catch (error) {
      // A disk that is full ends the transaction by itself.
      if (this.#db.inTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
    if (this.#changes() !== before) this.#sync();
    return result;
  }

  /** Rows that this connection has changed. */
  #changes(): number {
    return this.#db.query<{ n: number }, []>("SELECT total_changes() AS n").get()?.n ?? 0;
  }

  /** Moves a long log to the database. Each transaction does so before it begins; better when nobody waits. Throws StoreSyncError. */
  tendLog(): void {
    this.#checkpoints?.look(this.#sync_ms);
  }

  #sync(): void {
    if (this.#log === undefined) return;
    const begun_ms = performance.now();
    try {
      fdatasyncSync(this.#log);
    } catch (error) {
      throw new StoreSyncError("log", error);
    }
    this.#sync_ms = performance.now() - begun_ms;
  }

  get(key: string): StoredValue | undefined {
    const row = this.#db
      .query<LogRow, [string]>("SELECT l.* FROM current c JOIN log l ON l.revision = c.revision WHERE c.key = ?")
      .get(key);
    return row ? this.#stored(row) : undefined;
  }

  revisionOf(key: string): Revision | undefined {
    return this.#db.query<{ revision: number }, [string]>("SELECT revision FROM current WHERE key = ?").get(key)
      ?.revision;
  }

  list(prefix: string, range: ListRange & { readonly now: Revision }): ListResult {
    const { revision = range.now, limit, startAfter } = range;
    if (revision > range.now) throw new FutureRevisionError(range.now);
    if (revision < this.#oldest) throw new CompactedError(this.#oldest);
    const from = startAfter !== undefined && startAfter >= prefix ? startAfter : prefix;
    const end = prefixEnd(prefix);
    const most = limit === undefined ? -1 : limit + 1;
    // The second half brings back what keys changed since held at `revision`: the change that the first later one replaced.
    const rows = this.#db
      .query<LogRow, { $from: string; $end: string; $startAfter: string; $revision: number; $most: number }>(
        `SELECT key, value, revision, sum FROM (
           SELECT c.key AS key, l.value AS value, l.revision AS revision, l.sum AS sum
             FROM current c JOIN log l ON l.revision = c.revision
             WHERE c.key >= $from AND c.key < $end AND c.revision <= $revision
           UNION ALL
           SELECT p.key, p.value, p.revision, p.sum
             FROM (SELECT MIN(revision) AS first, previous FROM log
                     WHERE revision > $revision AND key >= $from AND key < $end GROUP BY key) x
             JOIN log p ON p.revision = x.previous
         ) WHERE key > $startAfter ORDER BY key LIMIT $most`,
      )
      .all({ $from: from, $end: end, $startAfter: startAfter ?? "", $revision: revision, $most: most });
    const more = limit !== undefined && rows.length > limit;
    if (more) rows.pop();
    const transformer = range.asItRests ? plainText : this.#transformer;
    const read = (row: LogRow): StoredValue => (range.tellsSealed ? this.#told(row) : this.#stored(row, transformer));
    return { items: rows.map(read), revision, more };
  }

  #stored(row: Omit<LogRow, "kind">, transformer = this.#transformer): StoredValue {
    assertUndamaged(row);
    return { key: row.key, value: transformer.fromStorage(row.key, row.value), revision: row.revision };
  }

  #told(row: Omit<LogRow, "kind">): StoredValue {
    assertUndamaged(row);
    return { key: row.key, revision: row.revision, ...openOrTell(this.#transformer, row.key, row.value) };
  }

  put(key: string, value: string, revision: Revision, replaces: Revision | undefined): void {
    const kind = replaces === undefined ? CREATE : UPDATE;
    this.#insert(revision, key, this.#transformer.toStorage(key, value), kind, replaces);
    this.#db.query("INSERT OR REPLACE INTO current (key, revision) VALUES (?, ?)").run(key, revision);
  }

  remove(key: string, revision: Revision, replaces: Revision): void {
    this.#insert(revision, key, null, DELETE, replaces);
    this.#db.query("DELETE FROM current WHERE key = ?").run(key);
  }

  #insert(revision: Revision, key: string, value: string | null, kind: number, previous: Revision | undefined): void {
    this.#db
      .query("INSERT INTO log (revision, key, value, kind, previous, sum) VALUES (?, ?, ?, ?, ?, ?)")
      .run(revision, key, value, kind, previous ?? null, value === null ? null : rowSum(key, value));
  }

  changesSince(prefix: string, after: Revision): StoreEvent[] {
    if (after < this.#oldest) throw new CompactedError(this.#oldest);
    return this.#db
      .query<LogRow, [number, string, string]>(
        "SELECT * FROM log WHERE revision > ? AND key >= ? AND key < ? ORDER BY revision",
      )
      .all(after, prefix, prefixEnd(prefix))
      .map((row) =>
        row.kind === DELETE
          ? { type: "delete", key: row.key, revision: row.revision }
          : { type: "put", ...this.#told(row), created: row.kind === CREATE },
      );
  }

  /** Up to `mayStay` old rows are left where they lie, and only this process notes the compaction: taking a row out writes the page
   *  that it shares with others. So a card is not written for revisions of keys in memory, which go on by themselves, nor for the few
   *  changes of an idle cluster. A later start shows what still lies there. */
  compact(revision: Revision, mayStay = 0): void {
    this.#standing += this.#oldBetween(this.#oldest, revision);
    this.#oldest = Math.max(this.#oldest, revision);
    if (this.#standing <= mayStay) return;
    this.transaction(() => {
      this.#db
        .query(
          `DELETE FROM log WHERE revision IN
             (SELECT previous FROM log WHERE revision > ? AND revision <= ? AND previous IS NOT NULL)`,
        )
        .run(this.#cleared, this.#oldest);
      this.#db
        .query("DELETE FROM log WHERE revision > ? AND revision <= ? AND kind = ?")
        .run(this.#cleared, this.#oldest, DELETE);
      this.setNumber("compacted", this.#oldest);
    });
    this.#cleared = this.#oldest;
    this.#standing = 0;
  }

  /** Rows that are gone stand in free parts of the file until others take these: the file is made anew without. Throws StoreSyncError. */
  scrub(): void {
    this.#db.exec("VACUUM");
    this.#sync();
    this.#checkpoints?.empty();
  }

  /** Nothing before this revision can be shown, whatever the log holds; also at later starts. */
  beginAfter(revision: Revision): void {
    if (revision <= this.#oldest) return;
    this.compact(revision);
    this.transaction(() => this.setNumber("compacted", revision));
  }

  /** Rows that the changes after the one revision and up to the other made old. */
  #oldBetween(after: Revision, upTo: Revision): number {
    return (
      this.#db
        .query<{ n: number }, [number, number, number]>(
          "SELECT COUNT(*) AS n FROM log WHERE revision > ? AND revision <= ? AND (previous IS NOT NULL OR kind = ?)",
        )
        .get(after, upTo, DELETE)?.n ?? 0
    );
  }

  oldest(within?: number): Revision {
    if (within === undefined) return this.#oldest;
    const before = this.#db
      .query<{ revision: number }, [number]>("SELECT revision FROM log ORDER BY revision DESC LIMIT 1 OFFSET ?")
      .get(within);
    return Math.max(this.#oldest, before?.revision ?? 0);
  }

  /** Rows of the log that no present key points to: what a compaction could free. */
  superseded(): number {
    return (
      this.#db.query<{ n: number }, []>("SELECT (SELECT COUNT(*) FROM log) - (SELECT COUNT(*) FROM current) AS n").get()
        ?.n ?? 0
    );
  }

  batched(): StoredValue[] {
    return this.#db
      .query<LogRow, []>("SELECT key, value, revision, NULL AS sum FROM batched")
      .all()
      .map((row) => this.#stored(row));
  }

  writeBatched(value: StoredValue): void {
    this.#db
      .query(
        `INSERT INTO batched (key, value, revision) VALUES (?, ?, ?)
           ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision`,
      )
      .run(value.key, this.#transformer.toStorage(value.key, value.value), value.revision);
  }

  removeBatched(key: string): void {
    this.#db.query("DELETE FROM batched WHERE key = ?").run(key);
  }

  /** Ends a reader, which may not checkpoint. */
  closeReader(): void {
    this.#db.close();
  }

  close(): void {
    this.#checkpoints?.close();
    if (this.#log !== undefined) closeSync(this.#log);
  }
}

/** Throws StoreUnavailableError. */
function assertUndamaged({ key, value, sum }: Omit<LogRow, "kind">): void {
  if (sum !== null && sum !== rowSum(key, value))
    throw new StoreUnavailableError(`the value of ${key} is damaged on the disk: restart the master`);
}
