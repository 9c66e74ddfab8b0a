import { randomBytes } from "node:crypto";
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join, normalize, sep } from "node:path";
import { ifPresent } from "#shared/files/if-present.ts";

export interface ProjectedFile {
  readonly data: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
  readonly uid?: number | undefined;
}
/** Files by their path in the volume. */
export type Payload = ReadonlyMap<string, ProjectedFile>;

/** The link under which a volume shows its present files. */
export const dataLink = "..data";

/**
 * Makes a folder show a payload, all of it or none: files live in a folder of their own, `..data` points to that, and
 * what people see are links through `..data`. An update makes a new folder and moves the link. The layout is upstream's.
 * @param own called with the new folder before it is shown, to set owners.
 * @returns whether anything changed.
 */
export async function writePayload(
  folder: string,
  payload: Payload,
  own: (folder: string) => Promise<void> = async () => undefined,
): Promise<boolean> {
  const files = new Map([...payload].map(([path, file]) => [cleanPath(path), file]));
  const oldName = await ifPresent(readlink(join(folder, dataLink)));
  const oldFolder = oldName === undefined ? undefined : join(folder, oldName);
  const changed = oldFolder === undefined || !(await shows(oldFolder, files));
  if (changed) {
    const name = `..${new Date().toISOString().replace(/[-:T]/g, "_").slice(0, 19)}.${randomBytes(5).toString("hex")}`;
    const fresh = join(folder, name);
    try {
      await writeFiles(fresh, files);
      await own(fresh);
      await symlink(name, join(folder, "..data_tmp"));
      await rename(join(folder, "..data_tmp"), join(folder, dataLink));
    } catch (error) {
      await rm(join(folder, "..data_tmp"), { force: true });
      await rm(fresh, { recursive: true, force: true });
      throw error;
    }
  }
  await showLinks(folder, files);
  if (changed && oldFolder !== undefined) await rm(oldFolder, { recursive: true, force: true });
  return changed;
}

/** Throws for a path that leads out of the volume or into the writer's own names. */
function cleanPath(path: string): string {
  if (path === "") throw new Error('invalid path: must not be empty: ""');
  if (path.startsWith("/")) throw new Error(`invalid path: must be relative path: ${path}`);
  const parts = path.split(sep);
  if (parts.includes("..")) throw new Error(`invalid path: must not contain '..': ${path}`);
  const [first = ""] = parts;
  if (first.startsWith("..") && first.length > 2) throw new Error(`invalid path: must not start with '..': ${path}`);
  return normalize(path);
}

async function writeFiles(folder: string, files: Payload): Promise<void> {
  await mkdir(folder);
  await chmod(folder, 0o755);
  for (const [path, file] of files) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    await writeFile(target, file.data, { mode: file.mode });
    // The process's umask does not count.
    await chmod(target, file.mode);
    if (file.uid !== undefined) await chown(target, file.uid, -1);
  }
}

async function shows(folder: string, files: Payload): Promise<boolean> {
  const present = await ifPresent(filesBelow(folder));
  if (present === undefined || present.length !== files.size) return false;
  for (const [path, { data }] of files) {
    const content = await ifPresent(readFile(join(folder, path)));
    if (content === undefined || !content.equals(data)) return false;
  }
  return true;
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
}

/** A link for each first part of a path; links to what is no longer there go. */
async function showLinks(folder: string, files: Payload): Promise<void> {
  const wanted = new Set([...files.keys()].map((path) => path.split(sep)[0] ?? path));
  const present = new Set((await readdir(folder)).filter((name) => !name.startsWith("..")));
  for (const name of wanted) {
    if (!present.has(name)) await symlink(join(dataLink, name), join(folder, name));
  }
  for (const name of present) {
    if (!wanted.has(name) && (await lstat(join(folder, name))).isSymbolicLink()) await rm(join(folder, name));
  }
}
