import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { dirname, join } from "node:path";

/** From then on the engine's own measure is left to it. */
export const ample_bytes = 4 * 1024 ** 3;

const groupsRoot = "/sys/fs/cgroup";

/** Reads a file; undefined where there is none. */
export type Read = (path: string) => string | undefined;

const fromDisk: Read = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

/**
 * Bytes of memory that this process may use: the machine's, or less where one of its control groups (version 1 or 2) allows less,
 * such as a unit's MemoryMax or a container's limit.
 */
export function usableMemory(machine_bytes = totalmem(), read: Read = fromDisk): number {
  return Math.min(machine_bytes, ...groupLimits(read("/proc/self/cgroup") ?? "", read));
}

/** Of the group and those around it, as many as are to be seen. @param groups proc_pid_cgroup(5) */
function groupLimits(groups: string, read: Read): number[] {
  const [, unified] = /^0::(.*)$/m.exec(groups) ?? [];
  const [, older] = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(groups) ?? [];
  return [
    ...limitsAlong(join(groupsRoot, unified ?? "/"), groupsRoot, "memory.max", read),
    ...limitsAlong(join(groupsRoot, "memory", older ?? "/"), join(groupsRoot, "memory"), "memory.limit_in_bytes", read),
  ];
}

function limitsAlong(group: string, root: string, file: string, read: Read): number[] {
  const limits: number[] = [];
  // What lies above the namespace of a container is not to be seen.
  const first = group.startsWith(root) ? group : root;
  for (let folder = first; folder.startsWith(root); folder = dirname(folder)) {
    const limit_bytes = Number.parseInt(read(join(folder, file)) ?? "", 10);
    if (limit_bytes > 0) limits.push(limit_bytes);
  }
  return limits;
}
