/** The store's file as a thing on a disk: whether it was there, how another takes its place, what is kept of a damaged one. */
import { SQLiteError } from "bun:sqlite";
import { existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { messageOf } from "#shared/api/joined-errors.ts";
import { syncFolders, writeFileAtomically } from "./write-file-atomically.ts";

/** The store is not as it was written. */
export class StoreDamagedError extends Error {
  override readonly name = "StoreDamagedError";

  constructor(
    readonly path: string,
    readonly what: string,
    /** What is readable is a whole state, but an older one than was acknowledged. */
    readonly isOlder = false,
  ) {
    super(`${path} is damaged: ${what}`);
  }
}

/** The disk did not take what was committed. What it holds of it only the next start can tell: the kernel gives up what it could
 *  not write. */
export class StoreSyncError extends Error {
  override readonly name = "StoreSyncError";

  constructor(what: "log" | "database", cause: unknown) {
    super(`the store's ${what} cannot be written: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** The disk had no room for what SQLite was to write: nothing of it was done, and it may be tried again. */
export const isDiskFull = (error: unknown): boolean => error instanceof SQLiteError && error.code === "SQLITE_FULL";

/** Damaged files that are kept to be looked at. */
const kept = 2;
const keptMark = ".damaged-";
const suffixes = ["", "-wal", "-shm"] as const;
const madeMark = ".made";
const nextMark = ".next";

/** Where a file is built that is to take the store's place. */
export const nextOf = (path: string): string => `${path}${nextMark}-part`;

/** SQLite makes a new database where none is; a store that was there and is gone must not begin anew in silence. Throws
 *  StoreDamagedError. */
export function assertPresent(path: string): void {
  if (existsSync(path + madeMark) && !(existsSync(path) && statSync(path).size > 0))
    throw new StoreDamagedError(path, existsSync(path) ? "it is empty" : "it is gone");
}

/** The store is there from now on, and the way to it: SQLite syncs the name of its log, not that of the database. */
export function noteMade(path: string): void {
  syncFolders(dirname(path));
  if (!existsSync(path + madeMark)) writeFileAtomically(path + madeMark, "", 0o600);
}

/** Puts the closed database at `nextOf(path)` in the store's place; the old one stays beside it, under the name that is
 *  given back. A power cut leaves the old one or goes on at the next start. */
export function replaceBy(path: string): string {
  renameSync(nextOf(path), path + nextMark);
  syncFolders(dirname(path));
  return finishReplacing(path) ?? path;
}

/** Ends a replacement that a power cut interrupted. Gives where the old file is. */
export function finishReplacing(path: string): string | undefined {
  if (!existsSync(path + nextMark)) return undefined;
  const old = setAside(path, keptMark);
  renameSync(path + nextMark, path);
  syncFolders(dirname(path));
  forgetOldest(path);
  return old;
}

/** Moves the store out of the way. Gives its new name. */
export function setAside(path: string, mark: string): string {
  const to = `${path}${mark}${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}`;
  // The database last: as long as it is there, its log belongs to it.
  for (const suffix of suffixes.toReversed()) if (existsSync(path + suffix)) renameSync(path + suffix, to + suffix);
  rmSync(path + madeMark, { force: true });
  return to;
}

function forgetOldest(path: string): void {
  const folder = dirname(path);
  const names = readdirSync(folder).filter((name) => name.startsWith(basename(path) + keptMark));
  const databases = [...new Set(names.map((name) => name.replace(/-(wal|shm)$/, "")))].sort();
  for (const name of databases.slice(0, -kept))
    for (const suffix of suffixes) rmSync(join(folder, name + suffix), { force: true });
}
