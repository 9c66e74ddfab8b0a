import { readFile, realpath, stat } from "node:fs/promises";
import { uptime } from "node:os";
import { basename, dirname, join } from "node:path";

/** What was written, by the kernel's own counters: nothing here counts, keeps or wakes. */
export interface DiskWrites {
  /** By this process since its start, as it reached the block layer. */
  readonly own_bytes: number;
  readonly ownFor_s: number;
  /** To the whole device that holds the data, since boot; undefined where no block device is behind it. */
  readonly device: DeviceWrites | undefined;
}

export interface DeviceWrites {
  readonly name: string;
  readonly written_bytes: number;
  readonly writtenFor_s: number;
  readonly size_bytes: number;
  /** What the card says of itself, in per cent of its life that are used; eMMC and some cards tell. */
  readonly lifeUsed_percent: number | undefined;
  /** The card says that its reserve is nearly or quite used up. */
  readonly isWornOut: boolean | undefined;
}

const sector_bytes = 512;

/** @param dataFolder decides which device counts. @param sys where the kernel shows devices. */
export async function readDiskWrites(dataFolder: string, sys = "/sys"): Promise<DiskWrites> {
  const [io, device] = await Promise.all([
    textOf("/proc/self/io"),
    stat(dataFolder).then(({ dev }) => readDevice(dev, sys)),
  ]);
  return {
    own_bytes: Number(/^write_bytes: (\d+)$/m.exec(io ?? "")?.[1] ?? 0),
    ownFor_s: process.uptime(),
    device,
  };
}

/** The whole device of a file system, for a partition too. Overlays, network and memory have none. */
async function readDevice(dev: number, sys: string): Promise<DeviceWrites | undefined> {
  const [major, minor] = [((dev >> 8) & 0xfff) | 0, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
  const found = await realpath(join(sys, "dev/block", `${major}:${minor}`)).catch(() => undefined);
  if (found === undefined) return undefined;
  const isPartition = (await textOf(join(found, "partition"))) !== undefined;
  const folder = isPartition ? dirname(found) : found;
  const [stats, size, life, reserve] = await Promise.all(
    ["stat", "size", "device/life_time", "device/pre_eol_info"].map((name) => textOf(join(folder, name))),
  );
  const written = Number(stats?.trim().split(/\s+/)[6] ?? Number.NaN);
  if (!Number.isFinite(written)) return undefined;
  return {
    name: basename(folder),
    written_bytes: written * sector_bytes,
    writtenFor_s: uptime(),
    size_bytes: Number(size ?? 0) * sector_bytes,
    ...parseLife(life, reserve),
  };
}

/** JEDEC eMMC's life time estimates, in tenths of which the upper end counts, and its pre-EOL information. Pure. */
export function parseLife(
  life: string | undefined,
  reserve: string | undefined,
): Pick<DeviceWrites, "lifeUsed_percent" | "isWornOut"> {
  const tenths = (life?.match(/0x[0-9a-f]+/gi) ?? []).map(Number).filter((value) => value >= 1 && value <= 11);
  const state = Number(reserve?.trim() || 0);
  return {
    lifeUsed_percent: tenths.length > 0 ? Math.min(100, Math.max(...tenths) * 10) : undefined,
    isWornOut: state >= 1 && state <= 3 ? state >= 2 : undefined,
  };
}

/** undefined where there is no such file, or it may not be read. */
const textOf = (path: string): Promise<string | undefined> => readFile(path, "utf8").catch(() => undefined);
