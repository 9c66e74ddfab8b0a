import { readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ContainerStatus } from "../runtime.ts";

export interface LogLimits {
  readonly maxSize_bytes: number;
  /** The file in use among them. */
  readonly maxFiles: number;
}

/**
 * Rotates logs that have grown too long, as a kubelet must where the runtime does not: `0.log` becomes `0.log.TIME`, and the
 * oldest go. A log that cannot be rotated waits for the next time.
 * @param reopen tells the runtime that the file is another one.
 */
export async function rotateLogs(
  containers: readonly ContainerStatus[],
  { maxSize_bytes, maxFiles }: LogLimits,
  reopen: (id: string) => Promise<unknown>,
  now: Date = new Date(),
): Promise<void> {
  for (const { id, logPath, state } of containers) {
    if (logPath === undefined || state !== "running") continue;
    // None yet, or gone with its pod.
    const size = await stat(logPath).then(
      (found) => found.size,
      () => 0,
    );
    if (size < maxSize_bytes) continue;
    await removeOldest(logPath, Math.max(0, maxFiles - 2));
    const aside = `${logPath}.${stampOf(now)}`;
    await rename(logPath, aside);
    try {
      await reopen(id);
    } catch {
      // The runtime goes on writing to what it has open: under its old name that is found again.
      await rename(aside, logPath);
    }
  }
}

/** Leaves the newest `keep` of those set aside; their names sort by time. */
async function removeOldest(path: string, keep: number): Promise<void> {
  const folder = dirname(path);
  const aside = (await readdir(folder)).filter((name) => name.startsWith(`${basename(path)}.`)).sort();
  for (const name of aside.slice(0, Math.max(0, aside.length - keep))) await rm(join(folder, name), { force: true });
}

/** `20260102-030405`, as upstream names them. */
const stampOf = (time: Date): string => time.toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
