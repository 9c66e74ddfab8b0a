/**
 * Files that containers may write though they have no volume there: /etc/hosts, and a file for their last words. They lie in memory, and
 * so would fill the board's /run, which Docker and systemd need, if a container wrote on and on (CVE-2020-8557): each pod has a small
 * file system of its own for them.
 */
import { mkdir, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "#agent/host/host.ts";
import type { Log } from "#shared/client/log.ts";
import { errnoOf } from "#shared/files/if-present.ts";

/** Of each pod; memory is taken by what is written alone. */
const most_bytes = 2 * 1024 * 1024;
/** Whose last words may still be asked for: those that the board keeps of a container, and a new one. */
const keptAttempts = 3;
/** Of last words nobody reads more. */
export const mostMessage_bytes = 4096;

export interface WrittenFilesPlace {
  readonly host: Pick<Host, "isMountPoint" | "mountTmpfs">;
  /** The pod's folder in memory. */
  readonly podFolder: string;
  readonly log: Log;
}

const folderOf = (podFolder: string): string => join(podFolder, "containers");

/** Where a container leaves its last words, on the host. */
export const terminationLogPath = (podFolder: string, container: string, attempt: number): string =>
  join(folderOf(podFolder), container, String(attempt), "termination-log");

/** Of a pod that is there already the folder stays as it is: its containers hold files in it. */
export async function writtenFilesFolder({ host, podFolder, log }: WrittenFilesPlace): Promise<string> {
  const folder = folderOf(podFolder);
  await mkdir(folder, { recursive: true, mode: 0o750 });
  const isOld = (await readdir(folder)).length > 0;
  // Looked at last: another container of the pod may have come first meanwhile.
  if (isOld || host.isMountPoint(folder)) return folder;
  try {
    host.mountTmpfs(folder, { mode: 0o750, size_bytes: most_bytes, noExec: true });
  } catch (error) {
    log.warn("what a pod may write beside its volumes is not bounded", { folder, error });
  }
  return folder;
}

/** Makes the folder of an attempt. Of those before it, what nobody asks for any more makes room. */
export async function prepareAttempt(place: WrittenFilesPlace, container: string, attempt: number): Promise<void> {
  const folder = join(await writtenFilesFolder(place), container);
  await mkdir(join(folder, String(attempt)), { recursive: true, mode: 0o750 });
  for (const name of await readdir(folder)) {
    if (Number(name) < attempt - keptAttempts) await rm(join(folder, name), { recursive: true, force: true });
    else if (Number(name) < attempt) await keepEnd(join(folder, name, "termination-log"));
  }
}

async function keepEnd(path: string): Promise<void> {
  const file = await open(path, "r+").catch((error: unknown) => {
    if (errnoOf(error) !== "ENOENT") throw error;
    return undefined;
  });
  if (!file) return;
  try {
    const { size } = await file.stat();
    if (size <= mostMessage_bytes) return;
    const end = Buffer.alloc(mostMessage_bytes);
    await file.read(end, 0, end.length, size - end.length);
    // First, for there may be no room at all.
    await file.truncate(0);
    await file.write(end, 0, end.length, 0);
  } finally {
    await file.close();
  }
}
