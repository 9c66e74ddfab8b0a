import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "#shared/files/if-present.ts";
import type { ContainerResources } from "./runtime.ts";

export interface CgroupSetting {
  /** Folder of the controller below /sys/fs/cgroup on cgroup v1; "" on v2. */
  readonly controller: string;
  readonly file: string;
  readonly value: string;
}

/** What to write for these limits (pure). Order matters on v1, where memory and swap limits bound each other. */
export function cgroupSettings(resources: ContainerResources, version: 1 | 2): CgroupSetting[] {
  const { cpuShares, cpuQuota_us, cpuPeriod_us = 100_000, memoryLimit_bytes, cpuset } = resources;
  const set = (controller: string, file: string, value: number | string): CgroupSetting => ({
    controller: version === 1 ? controller : "",
    file,
    value: String(value),
  });
  const unlimited = memoryLimit_bytes === 0;
  if (version === 1) {
    return [
      ...(cpuShares === undefined ? [] : [set("cpu", "cpu.shares", cpuShares)]),
      ...(cpuQuota_us === undefined
        ? []
        : [set("cpu", "cpu.cfs_period_us", cpuPeriod_us), set("cpu", "cpu.cfs_quota_us", cpuQuota_us || -1)]),
      ...(memoryLimit_bytes === undefined
        ? []
        : [set("memory", "memory.limit_in_bytes", unlimited ? -1 : memoryLimit_bytes)]),
      ...(cpuset === undefined ? [] : [set("cpuset", "cpuset.cpus", cpuset)]),
    ];
  }
  return [
    ...(cpuShares === undefined ? [] : [set("", "cpu.weight", cpuWeight(cpuShares))]),
    ...(cpuQuota_us === undefined
      ? []
      : [set("", "cpu.max", `${cpuQuota_us > 0 ? cpuQuota_us : "max"} ${cpuPeriod_us}`)]),
    ...(memoryLimit_bytes === undefined ? [] : [set("", "memory.max", unlimited ? "max" : memoryLimit_bytes)]),
    ...(cpuset === undefined ? [] : [set("", "cpuset.cpus", cpuset)]),
  ];
}

/** Shares of cgroup v1 (2 to 262144) on v2's scale (1 to 10000), as runc converts them. */
export const cpuWeight = (shares: number): number => 1 + Math.floor(((shares - 2) * 9999) / 262_142);

/** Changes the limits of the cgroup that a process is in, for runtimes that cannot be asked to. */
export async function writeCgroupLimits(pid: number, resources: ContainerResources): Promise<void> {
  const groups = parseCgroups(await readFile(`/proc/${pid}/cgroup`, "utf8"));
  const version = groups.has("cpu") || groups.has("memory") ? 1 : 2;
  for (const { controller, file, value } of cgroupSettings(resources, version)) {
    const group = groups.get(controller);
    if (group === undefined) throw new Error(`process ${pid} has no cgroup for ${controller || "v2"}`);
    const memoryAndSwap = join("/sys/fs/cgroup/memory", group, "memory.memsw.limit_in_bytes");
    if (file === "memory.limit_in_bytes") await raise(memoryAndSwap, value);
    await writeFile(join("/sys/fs/cgroup", controller, group, file), value);
    if (file === "memory.limit_in_bytes") await raise(memoryAndSwap, value);
  }
}

/** Writes files of the control group that a process is in, where the kernel has version 2; on version 1 there are none. Those
 *  that this kernel does not have are left out. */
export async function writeUnified(pid: number, files: Readonly<Record<string, string>>, root = "/"): Promise<void> {
  const groups = parseCgroups(await readFile(`${root}proc/${pid}/cgroup`, "utf8"));
  const group = groups.get("");
  if (group === undefined || groups.has("memory")) return;
  for (const [file, value] of Object.entries(files)) {
    await writeFile(join(root, "sys/fs/cgroup", group, file), value, { flag: "r+" }).catch((error: unknown) => {
      if (errnoOf(error) !== "ENOENT") throw error;
    });
  }
}

/** Memory and swap together may not be less than memory alone: written before a rise and after a fall. */
async function raise(path: string, value: string): Promise<void> {
  await writeFile(path, value).catch((error: NodeJS.ErrnoException) => {
    // Without swap accounting there is no such file; EINVAL: it is the other one's turn.
    if (!["ENOENT", "EACCES", "EINVAL", "EBUSY"].includes(error.code ?? "")) throw error;
  });
}

/** Cgroup by controller from /proc/PID/cgroup; "" for v2's. */
export function parseCgroups(text: string): Map<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.trim().split("\n")) {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    for (const controller of controllers.split(",")) groups.set(controller, path);
  }
  return groups;
}
