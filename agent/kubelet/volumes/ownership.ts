import { chmod, lchown, lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../files.ts";

const readWrite = 0o660;
const readOnly = 0o440;
const search = 0o110;
const setGid = 0o2000;

export interface GroupOwnership {
  readonly fsGroup: number;
  readonly readOnly: boolean;
  /** Leave it when the top already is as it should be (fsGroupChangePolicy OnRootMismatch). */
  readonly onlyOnRootMismatch: boolean;
}

/** Gives a volume to a group: it may read (and write), and what is made in it stays with the group. */
export async function setGroupOwnership(path: string, ownership: GroupOwnership): Promise<void> {
  if (ownership.onlyOnRootMismatch && (await isOwned(path, ownership))) return;
  await walk(path, ownership);
}

async function isOwned(path: string, { fsGroup, readOnly: ro }: GroupOwnership): Promise<boolean> {
  const { gid, mode } = await lstat(path);
  const wanted = (ro ? readOnly : readWrite) | search | setGid;
  return gid === fsGroup && (mode & wanted) === wanted;
}

/** Contents first, the top last: its state tells that all was done. */
async function walk(path: string, ownership: GroupOwnership): Promise<void> {
  const info = await lstat(path).catch((error) => {
    // Taken away by the pod in the meantime.
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (!info) return;
  if (info.isDirectory()) for (const name of await readdir(path)) await walk(join(path, name), ownership);
  await lchown(path, -1, ownership.fsGroup);
  if (info.isSymbolicLink()) return;
  const mask = (ownership.readOnly ? readOnly : readWrite) | (info.isDirectory() ? setGid | search : 0);
  await chmod(path, (info.mode & 0o7777) | mask);
}
