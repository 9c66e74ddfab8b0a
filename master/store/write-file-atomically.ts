import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Writes a small file so that a power cut leaves the old or the new content, never a part: temporary file, fsync,
 *  rename, fsync of the folders. */
export function writeFileAtomically(path: string, content: string, mode: number): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, "w", mode);
  try {
    writeFileSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncFolders(folder);
}

/** The names in a folder are on the disk, and so is the way to it, up to where its file system is mounted: a folder that
 *  was made a moment ago is gone after a power cut until its parent was synced. */
export function syncFolders(folder: string): void {
  const { dev } = statSync(folder);
  for (let path = folder; statSync(path).dev === dev; path = dirname(path)) {
    const handle = openSync(path, "r");
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    if (path === dirname(path)) return;
  }
}
