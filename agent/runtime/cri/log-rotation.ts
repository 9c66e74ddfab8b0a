import { existsSync } from "node:fs";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errnoOf } from "#shared/files/if-present.ts";
import type { ContainerStatus, LogBounds } from "../runtime.ts";

export interface RotationActions {
  /** Tells the runtime that a container's file is another one. */
  readonly reopen: (id: string) => Promise<unknown>;
  readonly warn: (message: string) => void;
  readonly now?: Date | undefined;
}

/**
 * Rotates logs that have grown too long, as a kubelet must where the runtime does not: `0.log` becomes `0.log.TIME`, and the
 * oldest go. A log that cannot be rotated is told of and waits for the next time. Never rejects.
 * @returns how many were rotated.
 */
export async function rotateLogs(
  containers: readonly ContainerStatus[],
  limits: LogBounds,
  { reopen, warn, now = new Date() }: RotationActions,
): Promise<number> {
  let count = 0;
  for (const { id, logPath, state } of containers) {
    if (logPath === undefined || state !== "running") continue;
    try {
      if (await rotate(logPath, limits, stampOf(now), () => reopen(id))) count++;
    } catch (error) {
      // Gone with its pod, or none yet.
      if (errnoOf(error) === "ENOENT") continue;
      warn(`the log ${logPath} grows on, it cannot be rotated: ${(error as Error).message}`);
    }
  }
  return count;
}

async function rotate(
  path: string,
  { maxSize_bytes, maxFiles }: LogBounds,
  stamp: string,
  reopen: () => Promise<unknown>,
): Promise<boolean> {
  // Negative is without bound.
  if (maxSize_bytes < 0 || (await stat(path)).size < maxSize_bytes) return false;
  const aside = `${path}.${stamp}`;
  // Set aside within this second already: the second time would take the place of the first.
  if (existsSync(aside)) return false;
  await removeOldest(path, Math.max(0, maxFiles - 2));
  await rename(path, aside);
  try {
    await reopen();
  } catch (error) {
    // The runtime goes on writing to what it has open: under its old name that is found again.
    await rename(aside, path);
    throw error;
  }
  return true;
}

/** Paths of what was set aside of a log, the oldest first: their names sort by time. */
export async function setAside(path: string): Promise<string[]> {
  const folder = dirname(path);
  const names = (await readdir(folder)).filter((name) => name.startsWith(`${basename(path)}.`));
  return names.sort().map((name) => join(folder, name));
}

/** Leaves the newest `keep` of those set aside. */
async function removeOldest(path: string, keep: number): Promise<void> {
  const aside = await setAside(path);
  for (const each of aside.slice(0, Math.max(0, aside.length - keep))) await rm(each, { force: true });
}

/** `20260102-030405`, as upstream names them. */
const stampOf = (time: Date): string => time.toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
