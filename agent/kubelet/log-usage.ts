import { lstat, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ifPresent } from "#shared/files/if-present.ts";
import type { FolderUsage } from "./volumes/folder-size.ts";

/** Blocks of stat(2) have this size whatever the file system. */
const block_bytes = 512;

/** What a container's log takes up on the disk, with what was rotated away: files beside it whose names begin as its own. */
export async function logUsage(logPath: string): Promise<FolderUsage> {
  const folder = dirname(logPath);
  const names = ((await ifPresent(readdir(folder))) ?? []).filter((name) => name.startsWith(basename(logPath)));
  const found = await Promise.all(names.map((name) => ifPresent(lstat(join(folder, name)))));
  // Without what was rotated or taken away meanwhile.
  const files = found.filter((info) => info !== undefined);
  return { size_bytes: files.reduce((sum, { blocks }) => sum + blocks * block_bytes, 0), inodes: files.length };
}
