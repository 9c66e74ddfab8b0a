import { readFile } from "node:fs/promises";
import { parseMeminfo } from "./board.ts";
import { busy_ns } from "./node-figures.ts";

/** What the board uses now; read when somebody asks, never on a timer. */
export interface BoardUsage {
  /** CPU time that was not idle, of all cores together, since boot. */
  readonly cpu_ns: number;
  readonly memoryUsed_bytes: number;
  readonly memoryAvailable_bytes: number;
  readonly filesystem: {
    /** Undefined where no file system was found. */
    readonly mount: string | undefined;
    readonly capacity_bytes: number;
    readonly used_bytes: number;
    readonly available_bytes: number;
  };
  readonly interfaces: readonly {
    readonly name: string;
    readonly received_bytes: number;
    readonly sent_bytes: number;
  }[];
  /** Of the processor; undefined where nothing measures it. */
  readonly temperature_celsius: number | undefined;
}

/** @param dataFolder decides which file system counts: the one that holds it. */
export async function readUsage(dataFolder: string): Promise<BoardUsage> {
  // Loaded with the first question: it is large, and many boards are never asked.
  const { default: system } = await import("systeminformation");
  const [memory, filesystems, network, temperature] = await Promise.all([
    system.mem(),
    system.fsSize(),
    system.networkStats("*"),
    system.cpuTemperature(),
  ]);
  const mounts = filesystems
    .filter(({ mount }) => dataFolder === mount || dataFolder.startsWith(mount.endsWith("/") ? mount : `${mount}/`))
    .sort((a, b) => b.mount.length - a.mount.length);
  return {
    cpu_ns: busy_ns(),
    memoryUsed_bytes: memory.total - memory.available,
    memoryAvailable_bytes: memory.available,
    filesystem: {
      mount: mounts[0]?.mount,
      capacity_bytes: mounts[0]?.size ?? 0,
      used_bytes: mounts[0]?.used ?? 0,
      available_bytes: mounts[0]?.available ?? 0,
    },
    interfaces: network.map(({ iface, rx_bytes, tx_bytes }) => ({
      name: iface,
      received_bytes: rx_bytes,
      sent_bytes: tx_bytes,
    })),
    temperature_celsius: temperature.main ?? undefined,
  };
}

/** The part of a board's usage that is asked for every few seconds: two reads of the kernel's counters. */
export interface BoardLoad {
  readonly at_ms: number;
  /** As BoardUsage has it. */
  readonly cpu_ns: number;
  readonly memoryUsed_bytes: number;
  readonly swapUsed_bytes: number;
}

export async function readLoad(): Promise<BoardLoad> {
  const memory = parseMeminfo(await readFile("/proc/meminfo", "utf8"));
  const of = (name: string): number => memory.get(name) ?? 0;
  return {
    at_ms: Date.now(),
    cpu_ns: busy_ns(),
    memoryUsed_bytes: of("MemTotal") - of("MemAvailable"),
    swapUsed_bytes: of("SwapTotal") - of("SwapFree"),
  };
}
