import { basename } from "node:path";
import { errnoOf } from "#shared/files/if-present.ts";
import { type ChildOutcome, runChild } from "./child-process.ts";

/*
 * File systems on block devices by the board's own programs, with the arguments, the judgement of exit codes and the words of
 * upstream's k8s.io/mount-utils v0.35 (SafeFormatAndMount, ResizeFs).
 */

/** Debian's package of each program, for who lacks it. */
const packages: Readonly<Record<string, string>> = {
  blkid: "util-linux",
  fsck: "util-linux",
  "mkfs.ext2": "e2fsprogs",
  "mkfs.ext3": "e2fsprogs",
  "mkfs.ext4": "e2fsprogs",
  resize2fs: "e2fsprogs",
  "mkfs.xfs": "xfsprogs",
  xfs_growfs: "xfsprogs",
  "mkfs.btrfs": "btrfs-progs",
  btrfs: "btrfs-progs",
  "mkfs.f2fs": "f2fs-tools",
  "mkfs.vfat": "dosfstools",
};

/** A large disk is made, and above all checked, for as long as it takes: a program that is ended halfway does harm. */
const unlimited_ms = 2 ** 31 - 1;
const mostOutput_bytes = 64 * 1024 * 1024;

/** blkid: no such thing was found on the device. */
const nothingFound = 2;
/** fsck: errors were found, and are still there. */
const errorsLeft = 4;

/** A program cannot be run, since the board does not have it. */
export class MissingProgram extends Error {
  override readonly name = "MissingProgram";
  constructor(readonly program: string) {
    const found = packages[program];
    super(`executable file not found in $PATH: ${program}${found ? `; install ${found} on this board` : ""}`);
  }
}

/** What a device holds that has a table of partitions: it is neither formatted nor taken for a file system. */
export const partitioned = "unknown data, probably partitions";

/** The type of file system on the device, `partitioned`, or "" where there is nothing. */
export async function filesystemOn(device: string): Promise<string> {
  const args = ["-p", "-s", "TYPE", "-s", "PTTYPE", "-o", "export", device];
  const { code, output } = await run("blkid", args);
  if (code === nothingFound) return "";
  if (code !== 0) throw new Error(endOf(code));
  const found = new Map<string, string>();
  for (const line of output.split("\n").filter((each) => each !== "")) {
    const [key = "", value, ...more] = line.split("=");
    if (value === undefined || more.length > 0) throw new Error(`blkid returns invalid output: ${output}`);
    found.set(key, value);
  }
  return found.get("PTTYPE") ? partitioned : (found.get("TYPE") ?? "");
}

/** Makes a file system of the type. Rejects with Error that ends in `errcode:(…) output:(…) `. */
export async function makeFilesystem(type: string, device: string): Promise<void> {
  const fail = (reason: string, output: string): Error => new Error(`errcode:(${reason}) output:(${output}) `);
  const { code, output } = await run(`mkfs.${type}`, [...formatOptions(type), device]).catch((error: Error) => {
    throw fail(error.message, "");
  });
  if (code !== 0) throw fail(endOf(code), output);
}

function formatOptions(type: string): string[] {
  // A whole device is meant, and nothing of it is kept for root.
  if (type === "ext3" || type === "ext4") return ["-F", "-m0"];
  return type === "xfs" ? ["-f"] : [];
}

/** Mends what a power cut left, where that can be done unasked. Rejects with Error where it cannot; says what else went wrong. */
export async function repairFilesystem(device: string, warn: (message: string, output: string) => void): Promise<void> {
  let outcome: Outcome;
  try {
    outcome = await run("fsck", ["-a", device]);
  } catch (error) {
    warn("a file system is mounted without being checked", (error as Error).message);
    return;
  }
  const { code, output } = outcome;
  if (code === errorsLeft)
    throw new Error(`'fsck' found errors on device ${device} but could not correct them: ${output}`);
  if (code !== 0)
    warn(code === 1 ? "errors of a file system were corrected" : "a file system cannot be checked", output);
}

/** Makes the file system as large as its device, which is mounted. Without a file system there is nothing to do. */
export async function growFilesystem(device: string, mountPath: string): Promise<void> {
  const type = await filesystemOn(device).catch((error: Error) => {
    throw new Error(`ResizeFS.Resize - error checking format for device ${device}: ${error.message}`);
  });
  if (type === "") return;
  const how = growing(type, device, mountPath);
  if (!how) {
    const what = `resize of format ${type} is not supported for device ${device} mounted at ${mountPath}`;
    throw new Error(`ResizeFS.Resize - ${what}`);
  }
  const [program, args, about] = how;
  const fail = (reason: string, output: string): Error =>
    new Error(`resize of device ${about} failed: ${reason}. ${program} output: ${output}`);
  const { code, output } = await run(program, args).catch((error: Error) => {
    throw fail(error.message, "");
  });
  if (code !== 0) throw fail(endOf(code), output);
}

/** Program, arguments, and what it is told of; undefined for a type that cannot grow while it is mounted. */
function growing(type: string, device: string, mountPath: string): [string, string[], string] | undefined {
  switch (type) {
    case "ext3":
    case "ext4":
      return ["resize2fs", [device], device];
    case "xfs":
      return ["xfs_growfs", ["-d", mountPath], mountPath];
    case "btrfs":
      return ["btrfs", ["filesystem", "resize", "max", mountPath], mountPath];
    default:
      return undefined;
  }
}

interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

async function run(program: string, args: readonly string[]): Promise<Outcome> {
  const limits = { input: "", timeout_ms: unlimited_ms, maxOutput_bytes: mostOutput_bytes };
  const { code, stdout, stderr }: ChildOutcome = await runChild(program, args, limits).catch((error: unknown) => {
    throw errnoOf(error) === "ENOENT" ? new MissingProgram(basename(program)) : error;
  });
  return { code, output: stdout + stderr };
}

const endOf = (code: number | null): string => (code === null ? "signal: killed" : `exit status ${code}`);
