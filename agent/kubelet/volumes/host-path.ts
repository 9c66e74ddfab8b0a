import { mkdir, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { HostPathVolumeSource } from "#shared/api/types/core-v1.generated.ts";
import { errnoOf } from "#shared/files/if-present.ts";

/** Makes or checks a hostPath as its type asks. Throws with upstream's wording when it is something else. */
export async function prepareHostPath({ path, type = "" }: HostPathVolumeSource): Promise<string> {
  if (path.split("/").includes("..")) throw new Error(`invalid HostPath \`${path}\`: must not contain '..'`);
  if (type === "") return path;
  const info = await stat(path).catch((error) => {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return undefined;
    throw error;
  });
  const check = (ok: boolean | undefined, what: string): string => {
    if (!ok) throw new Error(`hostPath type check failed: ${path} is not ${what}`);
    return path;
  };
  switch (type) {
    case "DirectoryOrCreate":
      if (!info) await mkdir(path, { recursive: true, mode: 0o755 });
      return check(info?.isDirectory() ?? true, "a directory");
    case "Directory":
      return check(info?.isDirectory(), "a directory");
    case "FileOrCreate":
      if (!info) await createFile(path);
      return check(info?.isFile() ?? true, "a file");
    case "File":
      return check(info?.isFile(), "a file");
    case "Socket":
      return check(info?.isSocket(), "a socket file");
    case "CharDevice":
      return check(info?.isCharacterDevice(), "a character device");
    case "BlockDevice":
      return check(info?.isBlockDevice(), "a block device");
    default:
      throw new Error(`${type} is an invalid volume type`);
  }
}

/** The parent folder must be there: only the file is made. */
async function createFile(path: string): Promise<void> {
  await stat(dirname(path)).catch((error) => {
    if (errnoOf(error) !== "ENOENT") throw error;
    throw new Error(`open ${path}: no such file or directory`, { cause: error });
  });
  await writeFile(path, "", { flag: "wx", mode: 0o644 }).catch((error) => {
    if (errnoOf(error) !== "EEXIST") throw error;
  });
}
