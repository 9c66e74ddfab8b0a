import { Database } from "bun:sqlite";
import { existsSync, renameSync, rmSync } from "node:fs";

/** What SQLite says of a file that is damaged, as opposed to one that cannot be reached. */
const damaged = /damaged|malformed|corrupt|not a database/i;

/**
 * Saves what can be read of a damaged database into a new one in its place, and keeps the damaged file beside it. Rows
 * are read one after the other, so one bad page costs its own rows only. Rethrows `reason` when it is not damage.
 * Returns a sentence for the log.
 */
export function repair(path: string, reason: unknown): string {
  const message = reason instanceof Error ? reason.message : String(reason);
  if (!damaged.test(message) || !existsSync(path)) throw reason;
  const kept = `${path}.damaged-${Date.now()}`;
  const fresh = `${path}.repaired`;
  rmSync(fresh, { force: true });
  const rows = salvage(path, fresh);
  for (const suffix of ["", "-wal", "-shm"]) {
    if (existsSync(path + suffix)) renameSync(path + suffix, kept + suffix);
  }
  renameSync(fresh, path);
  return `the store was damaged (${message}); ${rows} rows were saved, and the damaged file is kept as ${kept}`;
}

const tables = {
  log: "revision INTEGER PRIMARY KEY, key TEXT NOT NULL, value TEXT, kind INTEGER NOT NULL, previous INTEGER",
  batched: "key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL",
  meta: "name TEXT PRIMARY KEY, number INTEGER NOT NULL",
} as const;

function salvage(from: string, to: string): number {
  const target = new Database(to, { create: true, strict: true });
  let rows = 0;
  try {
    target.exec("PRAGMA journal_mode = DELETE");
    target.exec(
      `CREATE TABLE log (${tables.log});
       CREATE TABLE batched (${tables.batched}) WITHOUT ROWID;
       CREATE TABLE meta (${tables.meta}) WITHOUT ROWID;
       CREATE TABLE current (key TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;`,
    );
    const source = openSource(from);
    if (source) {
      for (const table of ["log", "batched", "meta"] as const) rows += copyReadable(source, target, table);
      source.close();
    }
    // The log says what is present: the newest change of each key, unless that is a deletion.
    target.exec(
      `INSERT INTO current (key, revision)
         SELECT key, revision FROM (SELECT key, MAX(revision) AS revision, kind FROM log GROUP BY key) WHERE kind <> 2`,
    );
    // What was lost in between cannot be shown: history begins now.
    const newest = target.query<{ newest: number | null }, []>("SELECT MAX(revision) AS newest FROM log").get()?.newest;
    target.query("INSERT OR REPLACE INTO meta (name, number) VALUES ('compacted', ?)").run(newest ?? 0);
  } finally {
    target.close();
  }
  return rows;
}

function openSource(path: string): Database | undefined {
  try {
    const source = new Database(path, { readonly: true, strict: true });
    source.query("SELECT name FROM sqlite_master LIMIT 1").get();
    return source;
  } catch {
    return undefined; // Not even its first page can be read: nothing to save.
  }
}

const keyColumn = { log: "revision", batched: "key", meta: "name" } as const;

/** Copies from both ends of the key order until a damaged page stops each way. */
function copyReadable(source: Database, target: Database, table: keyof typeof keyColumn): number {
  let rows = 0;
  for (const direction of ["ASC", "DESC"]) {
    try {
      const all = source.query<Record<string, string | number | null>, []>(
        `SELECT * FROM ${table} ORDER BY ${keyColumn[table]} ${direction}`,
      );
      for (const row of all.iterate()) {
        const names = Object.keys(row);
        const inserted = target
          .query(`INSERT OR IGNORE INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`)
          .run(...Object.values(row));
        rows += inserted.changes;
      }
      return rows;
    } catch {
      // A damaged page ends this direction; the other one saves what lies behind it.
    }
  }
  return rows;
}
