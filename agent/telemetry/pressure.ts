import { readFile } from "node:fs/promises";
import type { Host } from "#agent/host/host.ts";
import { parseMeminfo } from "./board.ts";

/** How much of something there is, and how much of that is left: bytes, inodes or process ids. */
export interface Room {
  readonly available: number;
  readonly capacity: number;
}

export interface DiskRoom {
  readonly bytes: Room;
  readonly inodes: Room;
}

export interface Headroom {
  readonly memory: Room;
  /** Where pods' volumes and logs lie; undefined: the folder is not there (yet). */
  readonly disk: DiskRoom | undefined;
  /** Where the runtime keeps images and containers. */
  readonly imageDisk: DiskRoom | undefined;
  readonly processes: Room;
}

/** What is left of the board's memory, disks and process ids. */
export async function readHeadroom(host: Host, dataFolder: string, imageFolder: string): Promise<Headroom> {
  const [meminfo, loadavg, pidMax, disk, imageDisk] = await Promise.all([
    readFile("/proc/meminfo", "utf8").then(parseMeminfo),
    readFile("/proc/loadavg", "utf8"),
    readFile("/proc/sys/kernel/pid_max", "utf8").then(Number),
    diskRoom(host, dataFolder),
    diskRoom(host, imageFolder),
  ]);
  // The fourth field is running/existing scheduling entities.
  const existing = Number(loadavg.split(" ")[3]?.split("/")[1] ?? 0);
  return {
    memory: { available: meminfo.get("MemAvailable") ?? 0, capacity: meminfo.get("MemTotal") ?? 0 },
    disk,
    imageDisk,
    processes: { available: pidMax - existing, capacity: pidMax },
  };
}

async function diskRoom(host: Host, folder: string): Promise<DiskRoom | undefined> {
  try {
    const { capacity_bytes, available_bytes, inodes, inodesFree } = await host.statfs(folder);
    return {
      bytes: { available: available_bytes, capacity: capacity_bytes },
      inodes: { available: inodesFree, capacity: inodes },
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
