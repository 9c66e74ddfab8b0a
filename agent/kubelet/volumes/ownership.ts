import { constants } from "node:fs";
import { chmod, chown, lchown, lstat, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { ifPresent } from "#shared/files/if-present.ts";

/** A handle that only names what it is of (open(2)): no device is opened by it, and no pipe waited for. */
const O_PATH = 0o10000000;
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

/** What the pod's fsGroup asks for. */
export async function setPodOwnership(path: string, pod: Pod, readOnly: boolean): Promise<void> {
  const { fsGroup, fsGroupChangePolicy } = pod.spec.securityContext ?? {};
  if (fsGroup === undefined) return;
  await setGroupOwnership(path, { fsGroup, readOnly, onlyOnRootMismatch: fsGroupChangePolicy === "OnRootMismatch" });
}

async function isOwned(path: string, { fsGroup, readOnly: ro }: GroupOwnership): Promise<boolean> {
  const { gid, mode } = await lstat(path);
  const wanted = (ro ? readOnly : readWrite) | search | setGid;
  return gid === fsGroup && (mode & wanted) === wanted;
}

/**
 * Contents first, the top last: its state tells that all was done. Another pod may write in the volume meanwhile and put a link in the
 * place of what was just looked at, so everything is reached by handles: a name is never followed.
 */
async function walk(path: string, ownership: GroupOwnership): Promise<void> {
  const handle = await ifPresent(open(path, constants.O_RDONLY | O_PATH | constants.O_NOFOLLOW));
  // Taken away by the pod in the meantime.
  if (!handle) return;
  try {
    const info = await handle.stat();
    if (info.isSymbolicLink()) {
      await ifPresent(lchown(path, -1, ownership.fsGroup));
      return;
    }
    const self = `/proc/self/fd/${handle.fd}`;
    if (info.isDirectory()) for (const name of await readdir(self)) await walk(join(self, name), ownership);
    await chown(self, -1, ownership.fsGroup);
    const mask = (ownership.readOnly ? readOnly : readWrite) | (info.isDirectory() ? setGid | search : 0);
    await chmod(self, (info.mode & 0o7777) | mask);
  } finally {
    await handle.close();
  }
}
