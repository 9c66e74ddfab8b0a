import { readFile } from "node:fs/promises";
import type { Host } from "#agent/host/host.ts";
import { parseMeminfo } from "./board.ts";

export interface Headroom {
  readonly memoryAvailable_bytes: number;
  readonly disk: { readonly available: number; readonly inodesFree: number } | undefined;
  readonly imageDisk: { readonly available: number; readonly inodesFree: number } | undefined;
  readonly pidsFree: number;
  readonly pidsMax: number;
}

/** What is left of the board's memory, disks and process ids; disks as fractions of their size. */
export async function readHeadroom(host: Host, dataFolder: string, imageFolder: string): Promise<Headroom> {
  const [meminfo, loadavg, pidMax, disk, imageDisk] = await Promise.all([
    readFile("/proc/meminfo", "utf8"),
    readFile("/proc/loadavg", "utf8"),
    readFile("/proc/sys/kernel/pid_max", "utf8"),
    fractions(host, dataFolder),
    fractions(host, imageFolder),
  ]);
  const pidsMax = Number(pidMax);
  // The fourth field is running/existing scheduling entities.
  const existing = Number(loadavg.split(" ")[3]?.split("/")[1] ?? 0);
  return {
    memoryAvailable_bytes: parseMeminfo(meminfo).get("MemAvailable") ?? 0,
    disk,
    imageDisk,
    pidsFree: pidsMax - existing,
    pidsMax,
  };
}

async function fractions(host: Host, folder: string): Promise<Headroom["disk"]> {
  try {
    const { capacity_bytes, available_bytes, inodes, inodesFree } = await host.statfs(folder);
    return {
      available: capacity_bytes > 0 ? available_bytes / capacity_bytes : 1,
      inodesFree: inodes > 0 ? inodesFree / inodes : 1,
    };
  } catch {
    // A folder that is not there (yet) is under no pressure.
    return undefined;
  }
}

export interface Pressures {
  readonly memory: boolean;
  readonly disk: boolean;
  readonly pids: boolean;
}

/** Upstream's hard eviction thresholds. */
export const thresholds = {
  memoryAvailable_bytes: 100 * 1024 * 1024,
  diskAvailable: 0.1,
  imageDiskAvailable: 0.15,
  inodesFree: 0.05,
} as const;

/** What a disk runs short of, under upstream's names. */
export type DiskSignal = "nodefs.available" | "nodefs.inodesFree" | "imagefs.available";

/** The first of upstream's thresholds for disks that is met; undefined: none. */
export function diskSignal({ disk, imageDisk }: Headroom): DiskSignal | undefined {
  if (disk && disk.available < thresholds.diskAvailable) return "nodefs.available";
  if (disk && disk.inodesFree < thresholds.inodesFree) return "nodefs.inodesFree";
  if (imageDisk && imageDisk.available < thresholds.imageDiskAvailable) return "imagefs.available";
  return undefined;
}

/** By upstream's hard eviction thresholds; process IDs are short below a fiftieth of them, and below 1,000 at the most. */
export function pressuresOf(headroom: Headroom): Pressures {
  return {
    memory: headroom.memoryAvailable_bytes < thresholds.memoryAvailable_bytes,
    disk: diskSignal(headroom) !== undefined,
    pids: headroom.pidsFree < Math.min(1000, headroom.pidsMax * 0.02),
  };
}

/** A pressure that has gone counts until it has stayed away for this long. */
export const transition_ms = 5 * 60_000;

/** Pressures with memory: raised at once, lifted late, so that a node does not flap. */
export class PressureGauge {
  readonly #lastSeen_ms = new Map<keyof Pressures, number>();

  update(now: Pressures, now_ms: number): Pressures {
    for (const kind of ["memory", "disk", "pids"] as const) if (now[kind]) this.#lastSeen_ms.set(kind, now_ms);
    const holds = (kind: keyof Pressures): boolean =>
      now_ms - (this.#lastSeen_ms.get(kind) ?? Number.NEGATIVE_INFINITY) < transition_ms;
    return { memory: holds("memory"), disk: holds("disk"), pids: holds("pids") };
  }
}
