import { randomBytes } from "node:crypto";
import { mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Writes a whole file so that a power cut leaves the old or the new one, never a part: a temporary file beside it,
 *  fsync, rename, fsync of the folder. Folders on the way are made with mode 0700. */
export async function writeSecureFile(path: string, data: string | Uint8Array, mode = 0o600): Promise<void> {
  const folder = dirname(path);
  const firstMade = await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = join(folder, `.${randomBytes(6).toString("hex")}.tmp`);
  try {
    const file = await open(temporary, "wx", mode);
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncFolder(folder);
  // A folder's own name is in its parent.
  for (let made = folder; firstMade !== undefined && made.startsWith(firstMade); made = dirname(made))
    await syncFolder(dirname(made));
}

/** The names in a folder are on the disk, whatever happens to the power now. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
