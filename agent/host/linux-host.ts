import { chmodSync, chownSync, closeSync, fstatSync, mkdirSync, openSync, readFileSync, realpathSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ifPresentSync } from "#shared/files/if-present.ts";
import { runChild } from "./child-process.ts";
import {
  type BindOptions,
  type FilesystemMount,
  type FilesystemStats,
  type Host,
  HostError,
  type MountPoint,
  type Propagation,
  type SubPathMount,
  type TmpfsOptions,
} from "./host.ts";
import { parseMountInfo } from "./mountinfo.ts";
import { connectInNetworkNamespace } from "./namespace-connection.ts";
import {
  close,
  hostOperation,
  mount,
  mountFlag,
  openBeneath,
  openHandle,
  SystemCallError,
  toHostError,
  umount,
} from "./system-calls.ts";

const mostOutput_bytes = 64 * 1024;

const propagationFlag: { readonly [P in Propagation]: number } = {
  private: mountFlag.private,
  slave: mountFlag.slave,
  shared: mountFlag.shared,
};

/** The Host of a Linux board. Root is needed for all but `statfs` and `mounts`. */
export function linuxHost(): Host {
  return {
    bindMount,
    mountTmpfs,
    mountFilesystem,
    makeShared,
    unmount,
    unmountTree,
    mounts,
    isMountPoint,
    bindSubPath,
    readFileBeneath,
    connectInNetworkNamespace,
    statfs: filesystemStats,
  };
}

function bindMount(source: string, target: string, options: BindOptions = {}): void {
  const recursive = options.recursive === true ? mountFlag.recursive : 0;
  hostOperation("bind mount on", target, () => {
    mount(source, target, "", mountFlag.bind | recursive, "");
    try {
      if (options.propagation !== undefined) {
        mount("", target, "", propagationFlag[options.propagation] | recursive, "");
      }
      // A bind mount takes read-only only when it is mounted again.
      if (options.readOnly === true) mount("", target, "", mountFlag.bind | mountFlag.remount | mountFlag.readOnly, "");
    } catch (error) {
      umount(target, true);
      throw error;
    }
  });
}

function mountTmpfs(target: string, options: TmpfsOptions): void {
  const words = [
    ...(options.size_bytes === undefined ? [] : [`size=${options.size_bytes}`]),
    ...(options.mode === undefined ? [] : [`mode=${options.mode.toString(8)}`]),
  ];
  const flags = options.noExec === true ? mountFlag.noExec : 0;
  const withWords = (all: readonly string[]): void => mount("tmpfs", target, "tmpfs", flags, all.join(","));
  hostOperation("mount tmpfs on", target, () => {
    try {
      withWords([...words, "noswap"]);
    } catch (error) {
      // Kernels before 6.4 do not know the word.
      if (!(error instanceof SystemCallError && error.code === "EINVAL")) throw error;
      withWords(words);
    }
  });
}

async function mountFilesystem(request: FilesystemMount): Promise<void> {
  const { type, source, target, options, timeout_ms } = request;
  const args = ["-t", type, ...(options.length > 0 ? ["-o", options.join(",")] : []), "--", source, target];
  const operation = `mount ${type} ${source} on`;
  const limits = { input: "", timeout_ms, maxOutput_bytes: mostOutput_bytes };
  const { code, stderr, timedOut } = await runChild("mount", args, limits).catch((cause: Error) => {
    throw new HostError("EIO", operation, target, { cause, detail: cause.message });
  });
  if (code === 0) return;
  const detail = timedOut ? `no answer for ${timeout_ms / 1000} s` : stderr.trim() || `mount ended with ${code}`;
  const exitStatus = code ?? undefined;
  throw new HostError(timedOut ? "ETIMEDOUT" : "EIO", operation, target, { detail, exitStatus });
}

function makeShared(path: string): void {
  hostOperation("make shared", path, () => {
    const listed = asListed(path);
    const present = mounts().findLast((point) => point.path === listed);
    if (present?.propagation === "shared") return;
    if (present === undefined) mount(path, path, "", mountFlag.bind | mountFlag.recursive, "");
    mount("", path, "", mountFlag.shared | mountFlag.recursive, "");
  });
}

function unmount(path: string, options: { readonly lazy?: boolean } = {}): void {
  try {
    umount(path, options.lazy === true);
  } catch (error) {
    // EINVAL: not a mount point; ENOENT: not even there.
    if (error instanceof SystemCallError && (error.code === "EINVAL" || error.code === "ENOENT")) return;
    throw toHostError("unmount", path, error);
  }
}

function unmountTree(path: string, options: { readonly lazy?: boolean } = {}): void {
  const listed = asListed(path);
  const within = mounts().filter((point) => point.path === listed || point.path.startsWith(`${listed}/`));
  for (const point of within.reverse()) unmount(point.path, options);
}

function mounts(): MountPoint[] {
  return parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8"));
}

function isMountPoint(path: string): boolean {
  const listed = asListed(path);
  return mounts().some((point) => point.path === listed);
}

/** As the kernel lists a mount at `path`: links above it are resolved, such as one that leads the agent's folder to another disk. */
function asListed(path: string): string {
  const parent = ifPresentSync(() => realpathSync(dirname(path)));
  return parent === undefined ? path : join(parent, basename(path));
}

function bindSubPath(request: SubPathMount): void {
  const { volumePath, subPath, target } = request;
  hostOperation(`mount subpath ${subPath} of ${volumePath} on`, target, () => {
    const volume = openHandle(volumePath);
    try {
      const source = openSubPath(volume, subPath, request.createMode);
      try {
        createTarget(target, source);
        bindMount(`/proc/self/fd/${source}`, target, { recursive: true, readOnly: request.readOnly === true });
      } finally {
        close(source);
      }
    } finally {
      close(volume);
    }
  });
}

function readFileBeneath(volumePath: string, path: string, limit_bytes: number): Buffer {
  return hostOperation(`read ${path} of`, volumePath, () => {
    const volume = openHandle(volumePath);
    try {
      const file = openBeneath(volume, path.replace(/^\/+/, "") || ".");
      try {
        const stats = fstatSync(file);
        // A pipe would keep its reader waiting.
        if (!stats.isFile()) throw new SystemCallError("read", "EINVAL");
        if (stats.size > limit_bytes) throw new SystemCallError("read", "EFBIG");
        return readFileSync(`/proc/self/fd/${file}`);
      } finally {
        close(file);
      }
    } finally {
      close(volume);
    }
  });
}

/** Opens the path, making the directories that are missing one by one, each reached through its parent's handle. */
function openSubPath(volume: number, subPath: string, createMode: SubPathMount["createMode"]): number {
  const path = subPath.replace(/^\/+/, "") || ".";
  if (createMode === undefined) return openBeneath(volume, path);
  try {
    return openBeneath(volume, path);
  } catch (error) {
    if (!(error instanceof SystemCallError && error.code === "ENOENT")) throw error;
  }
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new SystemCallError("mkdir", "EXDEV");
  const like = fstatSync(volume);
  for (let depth = 1; depth <= parts.length; depth++) {
    const known = parts.slice(0, depth).join("/");
    try {
      close(openBeneath(volume, known));
      continue;
    } catch (error) {
      if (!(error instanceof SystemCallError && error.code === "ENOENT")) throw error;
    }
    const parent = openBeneath(volume, parts.slice(0, depth - 1).join("/") || ".");
    try {
      const made = `/proc/self/fd/${parent}/${parts[depth - 1]}`;
      mkdirSync(made);
      // mkdir's mode is cut by the umask.
      chmodSync(made, createMode === "inherit" ? like.mode & 0o7777 : createMode);
      if (createMode === "inherit") chownSync(made, like.uid, like.gid);
    } finally {
      close(parent);
    }
  }
  return openBeneath(volume, path);
}

/** A mount needs a target of its source's kind. */
function createTarget(target: string, source: number): void {
  if (fstatSync(source).isDirectory()) {
    mkdirSync(target, { recursive: true });
    return;
  }
  mkdirSync(dirname(target), { recursive: true });
  closeSync(openSync(target, "a", 0o640));
}

async function filesystemStats(path: string): Promise<FilesystemStats> {
  try {
    const stats = await statfs(path);
    return {
      capacity_bytes: stats.blocks * stats.bsize,
      available_bytes: stats.bavail * stats.bsize,
      used_bytes: (stats.blocks - stats.bfree) * stats.bsize,
      inodes: stats.files,
      inodesFree: stats.ffree,
    };
  } catch (error) {
    throw toHostError("statfs", path, error);
  }
}
