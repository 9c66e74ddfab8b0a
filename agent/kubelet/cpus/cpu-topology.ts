import { existsSync, readdirSync, readFileSync } from "node:fs";
import { parseCpuSet } from "./cpu-set.ts";

/** A CPU as the kernel counts them: with several to a core, each thread is one. */
export interface Cpu {
  readonly id: number;
  /** Unique on the board. */
  readonly core: string;
  readonly socket: number;
}

export interface CpuTopology {
  /** Those that are switched on, by number. */
  readonly cpus: readonly Cpu[];
  /** Of the fullest core. */
  readonly cpusPerCore: number;
}

/** What the kernel says of its CPUs. */
export function readCpuTopology(root = "/"): CpuTopology {
  const folder = `${root}sys/devices/system/cpu`;
  const number = (path: string): number => (existsSync(path) ? Number(readFileSync(path, "utf8")) : 0);
  const cpus = [...parseCpuSet(readFileSync(`${folder}/online`, "utf8"))].map((id) => {
    // On ARM the package may be unknown, and says -1.
    const socket = Math.max(0, number(`${folder}/cpu${id}/topology/physical_package_id`));
    const cluster = number(`${folder}/cpu${id}/topology/cluster_id`);
    return { id, socket, core: `${socket}/${cluster}/${number(`${folder}/cpu${id}/topology/core_id`)}` };
  });
  return topologyOf(cpus);
}

export function topologyOf(cpus: readonly Cpu[]): CpuTopology {
  const sizes = new Map<string, number>();
  for (const { core } of cpus) sizes.set(core, (sizes.get(core) ?? 0) + 1);
  return { cpus, cpusPerCore: Math.max(1, ...sizes.values()) };
}

/** How many NUMA nodes the board has: one where the kernel does not count them. */
export function numaNodes(root = "/"): number {
  const folder = `${root}sys/devices/system/node`;
  const found = existsSync(folder) ? readdirSync(folder).filter((name) => /^node\d+$/.test(name)).length : 0;
  return Math.max(1, found);
}
