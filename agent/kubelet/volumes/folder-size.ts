import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { ifPresent } from "#shared/files/if-present.ts";

/** Blocks of stat(2) have this size whatever the file system. */
const block_bytes = 512;

export interface FolderUsage {
  readonly size_bytes: number;
  /** Files and folders, itself too. */
  readonly inodes: number;
}

/** Bytes that a folder takes up on its disk. */
export async function folderSize(path: string): Promise<number> {
  return (await folderUsage(path)).size_bytes;
}

/**
 * What a folder takes up on its disk, as du counts: what is mounted below it is not its own, a file with several names
 * counts once. What vanishes meanwhile is left out.
 */
export async function folderUsage(path: string): Promise<FolderUsage> {
  const top = await ifPresent(lstat(path));
  if (!top) return { size_bytes: 0, inodes: 0 };
  const seen = new Set<number>();
  let size_bytes = 0;
  let inodes = 0;
  const waiting = [path];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const info = await ifPresent(lstat(next));
    if (!info || info.dev !== top.dev) continue;
    if (info.nlink > 1 && !info.isDirectory()) {
      if (seen.has(info.ino)) continue;
      seen.add(info.ino);
    }
    size_bytes += info.blocks * block_bytes;
    inodes++;
    if (!info.isDirectory()) continue;
    for (const name of (await ifPresent(readdir(next))) ?? []) waiting.push(join(next, name));
  }
  return { size_bytes, inodes };
}
