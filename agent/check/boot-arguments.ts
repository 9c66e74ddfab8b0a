import { readFile, stat } from "node:fs/promises";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";

/** What switches the memory cgroup on; the second word is for kernels before 6.12. */
export const memoryCgroupArguments = "cgroup_enable=memory cgroup_memory=1";
const words = memoryCgroupArguments.split(" ");

/** A file of boot arguments that is not as the firmware wants it: a person has to look. */
export class BootArgumentsError extends Error {
  override readonly name = "BootArgumentsError";
}

/** Whether the arguments switch the memory cgroup on already, so that a restart is all that is missing. */
export const hasMemoryCgroup = (text: string): boolean => words.every((word) => text.split(/\s+/).includes(word));

/**
 * The one line of boot arguments with those for the memory cgroup at its end (pure); the text itself if it has them.
 * What was there stays as it is, but for words that switch the cgroup off.
 * @throws BootArgumentsError for more than one line, of which the firmware would read only the first.
 */
export function withMemoryCgroup(text: string): string {
  if (hasMemoryCgroup(text)) return text;
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const [line] = lines;
  if (line === undefined) throw new BootArgumentsError("it is empty, and this board booted by something else");
  if (lines.length > 1)
    throw new BootArgumentsError(
      `it has ${lines.length} lines, of which only the first counts: make it one line first`,
    );
  const kept = line.split(" ").filter((word) => !/^cgroup_disable=memory$|^cgroup_memory=0$/.test(word.trim()));
  const missing = words.filter((word) => !kept.includes(word));
  return `${[kept.join(" ").trimEnd(), ...missing].join(" ")}\n`;
}

/** The text of the file as it was before `switchOnMemoryCgroup`. */
export const backupOf = (path: string): string => `${path}.before-bramble`;

/**
 * Puts the arguments into the file, which a power cut leaves old or new and never in part. The old one stays beside it.
 * @returns false if they were there.
 */
export async function switchOnMemoryCgroup(path: string): Promise<boolean> {
  const before = await readFile(path, "utf8");
  const after = withMemoryCgroup(before);
  if (after === before) return false;
  const mode = (await stat(path)).mode & 0o777;
  // The first state is the one worth having back.
  if ((await readIfPresent(backupOf(path))) === undefined) await writeSecureFile(backupOf(path), before, mode);
  await writeSecureFile(path, after, mode);
  return true;
}
