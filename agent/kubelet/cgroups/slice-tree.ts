import { basename, dirname } from "node:path";
import type { Property } from "#agent/host/d-bus/message.ts";
import { cpuWeight } from "#agent/runtime/cgroup-limits.ts";
import type { CgroupFolders } from "#agent/telemetry/cgroup-usage.ts";
import type { CgroupTree, CurrentLimits, GroupTree } from "./cgroup-tree.ts";
import type { CgroupLimits } from "./limits.ts";
import type { SystemdUnits } from "./systemd-units.ts";

const second_us = 1_000_000;
/** Systemd keeps quotas in whole percents of a processor. */
const percent_us = second_us / 100;
const none = 2n ** 64n - 1n;

/** Control groups that are slices of systemd, which would undo what it does not know of. Its units first, then their files. */
export class SliceTree implements GroupTree {
  constructor(
    private readonly tree: CgroupTree,
    private readonly units: SystemdUnits,
  ) {}

  exists(path: string): boolean {
    return this.tree.exists(path);
  }

  async create(path: string, limits: CgroupLimits): Promise<void> {
    const properties = sliceProperties(limits, this.tree.version);
    const isNew = await this.units.start(basename(path), [...standing(path, this.tree.version), ...properties]);
    if (!isNew && properties.length > 0) await this.units.change(basename(path), properties);
    await this.tree.create(path, limits);
  }

  async set(path: string, limits: CgroupLimits): Promise<void> {
    const properties = sliceProperties(limits, this.tree.version);
    if (properties.length > 0) await this.units.change(basename(path), properties);
    await this.tree.set(path, limits);
  }

  current(path: string): Promise<CurrentLimits> {
    return this.tree.current(path);
  }

  memoryUsage_bytes(path: string): Promise<number> {
    return this.tree.memoryUsage_bytes(path);
  }

  folders(path: string): CgroupFolders {
    return this.tree.folders(path);
  }

  children(path: string): Promise<string[]> {
    return this.tree.children(path);
  }

  async remove(path: string): Promise<void> {
    if (this.tree.exists(path)) await this.units.stop(basename(path));
    await this.tree.remove(path);
  }
}

/** What every slice of pods has: what is in it is counted, so that it can be limited. */
function standing(path: string, version: 1 | 2): Property[] {
  const above = dirname(path) === "/" ? "-.slice" : basename(dirname(path));
  const counted = [
    "MemoryAccounting",
    "CPUAccounting",
    version === 1 ? "BlockIOAccounting" : "IOAccounting",
    "TasksAccounting",
  ];
  return [
    ["Description", { type: "s", value: `pods: ${basename(path, ".slice")}` }],
    ["Wants", { type: "as", value: [above] }],
    ...counted.map((name): Property => [name, { type: "b", value: true }]),
    ["DefaultDependencies", { type: "b", value: false }],
  ];
}

/** Limits as properties of a slice (systemd.resource-control(5)). It knows none of huge pages: those are written alone. */
function sliceProperties(limits: CgroupLimits, version: 1 | 2): Property[] {
  const { cpuShares, cpuQuota_us, cpuPeriod_us = 100_000, memoryLimit_bytes, pidsLimit } = limits;
  const number = (name: string, value: number | bigint): Property => [name, { type: "t", value: BigInt(value) }];
  return [
    ...(cpuShares === undefined
      ? []
      : [version === 1 ? number("CPUShares", cpuShares) : number("CPUWeight", cpuWeight(cpuShares))]),
    ...(cpuQuota_us === undefined ? [] : [number("CPUQuotaPerSecUSec", quotaOfSecond(cpuQuota_us, cpuPeriod_us))]),
    ...(memoryLimit_bytes === undefined
      ? []
      : [number(version === 1 ? "MemoryLimit" : "MemoryMax", memoryLimit_bytes || none)]),
    ...(pidsLimit === undefined ? [] : [number("TasksMax", pidsLimit)]),
  ];
}

function quotaOfSecond(quota_us: number, period_us: number): number | bigint {
  if (quota_us <= 0) return none;
  return Math.ceil((quota_us * second_us) / period_us / percent_us) * percent_us;
}
