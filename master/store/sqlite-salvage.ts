import { Database } from "bun:sqlite";
import { rmSync } from "node:fs";
import { nextOf, type StoreDamagedError } from "./database-file.ts";
import { rowSum } from "./sqlite-engine.ts";

/** What could be read of a damaged store. */
export interface Salvage {
  readonly rows: number;
  /** Every object that is present could be read: nothing is lost but what `StoreDamagedError.isOlder` tells. */
  readonly isWhole: boolean;
  /** The highest revision that is known to have been given out. */
  readonly newest: number;
}

/** Added to revisions when some that were given out may be forgotten. */
export const revisionMargin = 1_000_000;

const tables = {
  log: "revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value TEXT, kind INTEGER NOT NULL, previous INTEGER, sum INTEGER",
  batched: "key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL",
  meta: "name TEXT PRIMARY KEY, number INTEGER NOT NULL",
} as const;
const keyColumns = { log: "revision", batched: "key", meta: "name" } as const;

/** Copies what can be read of a damaged database to `nextOf(path)`. Rows are read one after the other, so one bad page
 *  costs its own rows only. */
export function salvage({ path }: Pick<StoreDamagedError, "path">): Salvage {
  const to = nextOf(path);
  for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(to + suffix, { force: true });
  const target = new Database(to, { create: true, strict: true });
  try {
    target.exec("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;");
    target.exec(
      `CREATE TABLE log (${tables.log});
       CREATE TABLE batched (${tables.batched});
       CREATE TABLE meta (${tables.meta}) WITHOUT ROWID;
       CREATE TABLE current (key TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;`,
    );
    target.exec("BEGIN");
    const source = openSource(path);
    let rows = 0;
    let isWhole = source !== undefined;
    for (const table of source ? (["log", "batched", "meta"] as const) : []) {
      const copied = source ? copyReadable(source, target, table) : { rows: 0, isWhole: false };
      rows += copied.rows;
      // Batches hold Events and the like: a lost one is no reason to go back to an older state.
      if (table !== "batched") isWhole &&= copied.isWhole;
    }
    source?.close();
    // The log says what is present: the newest change of each key, unless that is a deletion.
    target.exec(
      `INSERT INTO current (key, revision)
         SELECT key, revision FROM (SELECT key, MAX(revision) AS revision, kind FROM log GROUP BY key) WHERE kind <> 2`,
    );
    const newest = numberOf(target, "SELECT MAX(revision) AS number FROM log");
    const reserved = numberOf(target, "SELECT number FROM meta WHERE name = 'reserved'");
    // What was lost in between cannot be shown: history begins now, and above all that was given out.
    const highest = Math.max(newest, reserved);
    const put = target.query("INSERT OR REPLACE INTO meta (name, number) VALUES (?, ?)");
    put.run("compacted", newest);
    put.run("reserved", highest + revisionMargin);
    target.exec("COMMIT");
    return { rows, isWhole, newest: highest };
  } finally {
    target.close();
  }
}

const numberOf = (db: Database, query: string): number =>
  db.query<{ number: number | null }, []>(query).get()?.number ?? 0;

function openSource(path: string): Database | undefined {
  try {
    const source = new Database(path, { readonly: true, strict: true });
    if (source.query("SELECT 1 FROM sqlite_master WHERE name = 'log'").get() !== null) return source;
    source.close();
  } catch {
    // Not even its first page can be read.
  }
  return undefined;
}

/** Copies from both ends of the key order until a damaged page stops each way. */
function copyReadable(source: Database, target: Database, table: keyof typeof tables): Omit<Salvage, "newest"> {
  let rows = 0;
  let isWhole = true;
  for (const direction of ["ASC", "DESC"]) {
    try {
      const all = source.query<Record<string, string | number | null>, []>(
        `SELECT * FROM ${table} ORDER BY ${keyColumns[table]} ${direction}`,
      );
      for (const row of all.iterate()) {
        const { key, value, sum } = row;
        if (typeof sum === "number" && sum !== rowSum(String(key), String(value))) {
          isWhole = false;
          continue;
        }
        const names = Object.keys(row);
        const inserted = target
          .query(`INSERT OR IGNORE INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`)
          .run(...Object.values(row));
        rows += inserted.changes;
      }
      return { rows, isWhole };
    } catch {
      // A damaged page ends this direction; the other one saves what lies behind it.
      isWhole = false;
    }
  }
  return { rows, isWhole };
}
