import { readFile } from "node:fs/promises";
import { type CgroupFolders, type CgroupUsage, cgroupFolders, readCgroupUsage } from "../telemetry/cgroup-usage.ts";
import { type InterfaceCounters, parseNetDev } from "../telemetry/interface-counters.ts";
import type { ContainerStats } from "./runtime.ts";

/** The process of a container that runs, and where the kernel counts it. */
export interface Place {
  readonly pid: number;
  readonly cgroups: CgroupFolders;
}

export type Counted = Pick<
  ContainerStats,
  "cpuUsage_ns" | "memoryUsage_bytes" | "memoryWorkingSet_bytes" | "memoryRss_bytes" | "cgroup"
>;

export interface PlaceUsage {
  readonly counted: Counted;
  readonly network: Pick<ContainerStats, "networkRx_bytes" | "networkTx_bytes" | "interfaces">;
  /** False when the place told nothing: its process has ended. */
  readonly isComplete: boolean;
}

/** undefined: no process, or its control groups cannot be read from here. */
export async function placeOf(pid: number): Promise<Place | undefined> {
  const cgroups = pid > 0 ? await cgroupFolders(pid) : undefined;
  return cgroups && { pid, cgroups };
}

/** What the kernel counts at a place; `ask` stands in where it cannot be read. */
export async function usageAt(place: Place | undefined, ask: () => Promise<Counted>): Promise<PlaceUsage> {
  const usage = place && (await readCgroupUsage(place.cgroups));
  const [counted, interfaces] = await Promise.all([
    usage ? usageOf(usage) : ask(),
    place ? interfacesOf(place.pid) : [],
  ]);
  return {
    counted,
    network: {
      networkRx_bytes: interfaces.reduce((sum, { received_bytes }) => sum + received_bytes, 0),
      networkTx_bytes: interfaces.reduce((sum, { sent_bytes }) => sum + sent_bytes, 0),
      interfaces,
    },
    isComplete: usage !== undefined && interfaces.length > 0,
  };
}

const usageOf = (usage: CgroupUsage): Counted => ({
  cpuUsage_ns: usage.cpu_ns,
  memoryUsage_bytes: usage.memory_bytes,
  memoryWorkingSet_bytes: usage.workingSet_bytes,
  memoryRss_bytes: usage.rss_bytes,
  cgroup: usage,
});

/** The counters of a process's network namespace; runtimes have none for a namespace that CNI wired. */
async function interfacesOf(pid: number): Promise<InterfaceCounters[]> {
  // Ended meanwhile: no counters any more.
  return parseNetDev(await readFile(`/proc/${pid}/net/dev`, "utf8").catch(() => ""));
}
