/**
 * SQLite's log goes into its database while writes go on. SQLite's own checkpoint syncs the log, the database and the log's next
 * header one after the other, and who writes meanwhile waits for all of them: on a card three syncs more. Here the store's thread
 * copies the pages, which have been synced in the log before, and a thread of the runtime syncs the database. Until that is done a
 * second connection reads a state of the log, so that SQLite appends to it and does not begin it anew: its frames are what a power
 * cut would leave. Rules: https://www.sqlite.org/walformat.html
 */
import { constants, Database, SQLiteError } from "bun:sqlite";
import { closeSync, fdatasync, fdatasyncSync, openSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { isDiskFull, StoreSyncError } from "./database-file.ts";
import { SLOW_MS } from "./group-commit.ts";

export interface LogLimits {
  /** A busy store on a slow disk copies so many pages of the log at once, between two groups of writes. */
  readonly part: number;
  /** So many pages are copied between two syncs of the database, and at once where there is no hurry: a page that changes again
   *  and again then goes to the card once for all. */
  readonly batch: number;
  /** A log of so many pages begins anew however busy the store is, and writes wait for two syncs more. Where these are short it does
   *  so after each batch: a file that grows has the file system write more with each sync. */
  readonly longest: number;
  /** A disk is slow whose syncs take so long. */
  readonly slow_ms: number;
}

const usual: LogLimits = { part: 100, batch: 1_000, longest: 4_000, slow_ms: SLOW_MS };

/** A store is busy that fills a part of its log in less: the kernel writes pages half a minute after they were copied. */
const BUSY_MS = 1_000;

/**
 * Opens the file for this process alone. The index of the log lies in memory that its connections share: in the file that other
 * processes would share, each commit dirties up to six pages and each read one, which the kernel writes to the card half a minute
 * later.
 */
export function openAlone(path: string): Database {
  const { SQLITE_OPEN_READWRITE, SQLITE_OPEN_CREATE, SQLITE_OPEN_URI } = constants;
  const db = new Database(
    `${pathToFileURL(path).href}?vfs=unix-excl`,
    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI,
  );
  db.exec("PRAGMA busy_timeout = 5000;");
  return db;
}

export class Checkpoints {
  readonly #db: Database;
  readonly #reader: Database;
  /** The database's file, twice: what the disk could not take is told once to each who has it open. */
  readonly #file: number;
  readonly #fileBeside: number;
  readonly #limits: LogLimits;
  #holdsLog = false;
  /** Pages that were copied since the last sync of the database began, and those of the sync that is under way. */
  #copied = 0;
  #syncing: { readonly pages: number } | undefined;
  /** How many pages were left to copy at that time. */
  #seen = { left: 0, at_ms: 0 };
  #sync_ms = 0;

  /** @param db the only connection that writes; its checkpoints are left to this. */
  constructor(path: string, db: Database, limits: Partial<LogLimits> = {}) {
    this.#db = db;
    this.#limits = { ...usual, ...limits };
    db.exec("PRAGMA wal_autocheckpoint = 0");
    this.#reader = openAlone(path);
    this.#file = openSync(path, "r");
    this.#fileBeside = openSync(path, "r");
  }

  /** To be called when all that the log holds is on the disk, with what the last sync took. Throws StoreSyncError. */
  look(sync_ms: number): void {
    this.#sync_ms = sync_ms;
    const { log, checkpointed } = this.#state();
    const left = log - checkpointed;
    if (left === 0 && this.#copied === 0 && this.#syncing === undefined) return;
    if (log >= this.#limits.longest) this.#beginAnew();
    else if (left - this.#seen.left >= this.#limits.part) {
      const now_ms = performance.now();
      const isBusy = this.#isSlow && now_ms - this.#seen.at_ms < BUSY_MS;
      this.#seen = { left, at_ms: now_ms };
      if (isBusy || left >= this.#limits.batch) this.#copyBeside(left);
    }
  }

  get #isSlow(): boolean {
    return this.#sync_ms >= this.#limits.slow_ms;
  }

  #state(): { readonly log: number; readonly checkpointed: number } {
    const query = this.#db.query<{ log: number; checkpointed: number }, []>("PRAGMA wal_checkpoint(NOOP)");
    return query.get() ?? { log: 0, checkpointed: 0 };
  }

  #copyBeside(left: number): void {
    this.#holdLog();
    if (!this.#copy()) return;
    this.#copied += left;
    this.#syncBeside();
  }

  #syncBeside(): void {
    if (this.#syncing !== undefined || this.#copied < this.#limits.batch) return;
    const syncing = { pages: this.#copied };
    this.#copied = 0;
    this.#syncing = syncing;
    fdatasync(this.#fileBeside, (error) => {
      if (this.#syncing !== syncing) return;
      if (error) throw new StoreSyncError("database", error);
      this.#syncing = undefined;
      if (!this.#isSlow) this.#beginAnew();
      else if (this.#copied === 0) this.#releaseLog();
      this.#syncBeside();
    });
  }

  /** Nothing is written between. */
  #beginAnew(): void {
    this.#releaseLog();
    this.#copy();
    this.#sync();
  }

  /** From its present end on, which the database does not have yet. Nothing is written between. */
  #holdLog(): void {
    this.#releaseLog();
    this.#reader.exec("BEGIN");
    // A transaction has the state of its first read.
    this.#reader.query("SELECT number FROM meta LIMIT 1").get();
    this.#holdsLog = true;
  }

  /** Lets the log begin anew with the next write, if the database has all of it by then. */
  #releaseLog(): void {
    if (this.#holdsLog) this.#reader.exec("COMMIT");
    this.#holdsLog = false;
  }

  /** Copies what the log has, up to where it is held, to the database's file, which is not synced. False if SQLite
   *  cannot, as on a full disk: then the log keeps all of it, and a write that the log has no room for says why. */
  #copy(): boolean {
    this.#db.exec("PRAGMA synchronous = OFF");
    try {
      this.#db.exec("PRAGMA wal_checkpoint(PASSIVE)");
      this.#seen = { left: 0, at_ms: performance.now() };
      return true;
    } catch (error) {
      if (error instanceof SQLiteError) return false;
      throw error;
    } finally {
      this.#db.exec("PRAGMA synchronous = NORMAL");
    }
  }

  /** What was copied rests on the disk. */
  #sync(): void {
    try {
      fdatasyncSync(this.#file);
    } catch (error) {
      throw new StoreSyncError("database", error);
    }
    this.#copied = 0;
    this.#syncing = undefined;
  }

  /** The database has all of the log, which holds nothing then. To be called when all that it holds is on the disk. Throws StoreSyncError. */
  empty(): void {
    this.#releaseLog();
    this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#sync();
    this.#seen = { left: 0, at_ms: performance.now() };
  }

  /** Closes both connections; the database has all of the log then, or on a full disk the next start reads both. Throws
   *  StoreSyncError. */
  close(): void {
    // What was copied before, SQLite does not sync again.
    this.#sync();
    this.#releaseLog();
    this.#reader.close();
    try {
      this.#db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
    this.#db.close();
    // Who closes a file gives up the locks that the process has on it: not before the connections.
    closeSync(this.#file);
    closeSync(this.#fileBeside);
  }
}
