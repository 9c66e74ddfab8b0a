import { accessSync, constants, mkdirSync } from "node:fs";
import { errnoOf } from "../files/if-present.ts";

/** This process cannot do its work as it was started; the message says what to do. */
class UnfitStartError extends Error {
  override readonly name = "UserError";
}

/** Throws UserError for who is not root: mounts, networks and the container runtime are root's. */
export function assertRoot(what: string, uid: number | undefined = process.getuid?.()): void {
  if (uid !== 0) throw new UnfitStartError(`${what} needs root: put sudo before the command`);
}

/** Makes a folder that this process keeps things in, unless it is there. Throws UserError where nothing can be written to it.
 *  @param setting the flag that names another one, without dashes. */
export function ensureOwnFolder(folder: string, setting: string, mode = 0o700): void {
  try {
    mkdirSync(folder, { recursive: true, mode });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    const why = reasons[errnoOf(error) ?? ""];
    if (why === undefined) throw error;
    throw new UnfitStartError(`${folder} ${why}, or name another folder with --${setting}`, { cause: error });
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "cannot be written by this user: put sudo before the command",
  EPERM: "cannot be written by this user: put sudo before the command",
  EROFS:
    "is on a file system that is mounted read-only: mount it for writing (a card that wears out turns so: see dmesg)",
  ENOSPC: "is on a disk that is full: free some of it",
  EEXIST: "is no folder: move that file away",
  ENOENT: "cannot be made there",
  ENOTDIR: "is below a file, not a folder: move that file away",
};
