import type { FilesystemStats } from "../../host/host.ts";
import type { CgroupUsage } from "../../telemetry/cgroup-usage.ts";
import type { InterfaceCounters } from "../../telemetry/interface-counters.ts";
import type { ResourceStalls, Stall, Stalls } from "../../telemetry/stalls.ts";

/*
 * Fields of stats/v1alpha1 (k8s.io/kubelet). What is not measured is left out.
 */

export function cpuField(time: string, total_ns: number, rate: number | undefined, stalls?: ResourceStalls): object {
  return {
    time,
    ...(rate === undefined ? {} : { usageNanoCores: rate }),
    usageCoreNanoSeconds: total_ns,
    ...psiField(stalls?.cpu),
  };
}

/** @param stalls for the resource io. */
export function ioField(time: string, stalls: ResourceStalls | undefined): object {
  return stalls?.io ? { io: { time, ...psiField(stalls.io) } } : {};
}

function psiField(stalls: Stalls | undefined): object {
  return stalls ? { psi: { full: stallField(stalls.full), some: stallField(stalls.some) } } : {};
}

/** The total in microseconds, as upstream hands on what the kernel says. */
const stallField = ({ total_us, avg10, avg60, avg300 }: Stall): object => ({ total: total_us, avg10, avg60, avg300 });

export interface MemoryFigures {
  readonly available_bytes?: number | undefined;
  readonly usage_bytes: number;
  readonly workingSet_bytes: number;
  readonly rss_bytes: number;
  readonly pageFaults?: number | undefined;
  readonly majorPageFaults?: number | undefined;
}

export function memoryField(time: string, figures: MemoryFigures, stalls?: ResourceStalls): object {
  const { available_bytes, usage_bytes, workingSet_bytes, rss_bytes, pageFaults, majorPageFaults } = figures;
  return {
    time,
    ...(available_bytes === undefined ? {} : { availableBytes: available_bytes }),
    usageBytes: usage_bytes,
    workingSetBytes: workingSet_bytes,
    rssBytes: rss_bytes,
    ...(pageFaults === undefined ? {} : { pageFaults }),
    ...(majorPageFaults === undefined ? {} : { majorPageFaults }),
    ...psiField(stalls?.memory),
  };
}

export const memoryOfGroup = (group: CgroupUsage): MemoryFigures => ({
  usage_bytes: group.memory_bytes,
  workingSet_bytes: group.workingSet_bytes,
  rss_bytes: group.rss_bytes,
  pageFaults: group.pageFaults,
  majorPageFaults: group.majorPageFaults,
  available_bytes: headroomOf(group),
});

/** What is left of a limit; undefined without one. */
export const headroomOf = ({ memoryLimit_bytes, workingSet_bytes }: CgroupUsage): number | undefined =>
  memoryLimit_bytes === undefined ? undefined : Math.max(0, memoryLimit_bytes - workingSet_bytes);

/** Where a task's files lie, and what of that it takes up itself; without the latter, all that is taken there. */
export function fsField(time: string, filesystem: FilesystemStats | undefined, used: UsedPart | "all"): object {
  const whole = filesystem && {
    used_bytes: filesystem.used_bytes,
    inodesUsed: filesystem.inodes - filesystem.inodesFree,
  };
  const { used_bytes, inodesUsed } = used === "all" ? (whole ?? {}) : used;
  return {
    time,
    ...(filesystem ? { availableBytes: filesystem.available_bytes, capacityBytes: filesystem.capacity_bytes } : {}),
    ...(used_bytes === undefined ? {} : { usedBytes: used_bytes }),
    ...(filesystem ? { inodesFree: filesystem.inodesFree, inodes: filesystem.inodes } : {}),
    ...(inodesUsed === undefined ? {} : { inodesUsed }),
  };
}

export interface UsedPart {
  readonly used_bytes?: number | undefined;
  readonly inodesUsed?: number | undefined;
}

export function networkField(interfaces: readonly InterfaceCounters[], time: string): object {
  const counted = interfaces.map((each) => ({
    name: each.name,
    rxBytes: each.received_bytes,
    rxErrors: each.receiveErrors,
    txBytes: each.sent_bytes,
    txErrors: each.sendErrors,
  }));
  const main = counted.find(({ name }) => name === "eth0") ?? counted[0];
  return { time, ...main, interfaces: counted };
}
