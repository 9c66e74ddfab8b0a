import { readFile } from "node:fs/promises";
import { errnoOf } from "#shared/files/if-present.ts";
import { type ResourceStalls, readStalls } from "./stalls.ts";

/** What the kernel counts of a container, read from its control groups: no daemon is asked. */
export interface CgroupUsage {
  readonly cpu_ns: number;
  readonly cpuUser_ns: number;
  readonly cpuSystem_ns: number;
  readonly periods: number;
  readonly throttledPeriods: number;
  readonly throttled_ns: number;
  readonly memory_bytes: number;
  /** Memory without file pages that nobody has used of late: what eviction and `kubectl top` go by. */
  readonly workingSet_bytes: number;
  readonly rss_bytes: number;
  readonly cache_bytes: number;
  readonly mapped_bytes: number;
  readonly swap_bytes: number;
  readonly pageFaults: number;
  readonly majorPageFaults: number;
  /** Undefined: none. */
  readonly memoryLimit_bytes: number | undefined;
  /** Of the group itself, without those below it. */
  readonly processes: number;
  readonly threads: number;
  /** Empty where the kernel does not watch them by group: on version 1, or without PSI. */
  readonly stalls: ResourceStalls;
}

/** Folders of one process's control groups. */
export type CgroupFolders =
  | { readonly version: 2; readonly unified: string }
  | {
      readonly version: 1;
      readonly cpu: string;
      readonly cpuacct: string;
      readonly memory: string;
      readonly pids: string;
    };

/** Clock ticks a second in cpuacct.stat: the same on every Linux that Bramble runs on. */
const ticks_hz = 100;

/** Where the control groups of a process are; undefined for a process that is gone. */
export async function cgroupFolders(pid: number, root = "/"): Promise<CgroupFolders | undefined> {
  const text = await readFile(`${root}proc/${pid}/cgroup`, "utf8").catch(() => undefined);
  return text === undefined ? undefined : foldersFrom(text, `${root}sys/fs/cgroup`);
}

/** Of version 1, where each controller has a tree of its own. */
export const foldersByController = (folder: (controller: string) => string): CgroupFolders => ({
  version: 1,
  cpu: folder("cpu"),
  cpuacct: folder("cpuacct"),
  memory: folder("memory"),
  pids: folder("pids"),
});

/** Reads /proc/PID/cgroup. A machine with version 1 may have an empty version 2 beside it: then version 1 counts. */
export function foldersFrom(text: string, mount: string): CgroupFolders | undefined {
  const byController = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    for (const controller of match?.[1]?.split(",") ?? []) byController.set(controller, match?.[2] ?? "");
  }
  const memory = byController.get("memory");
  const cpuacct = byController.get("cpuacct");
  const unified = byController.get("");
  if (memory !== undefined && cpuacct !== undefined) {
    const folder = (controller: string): string => `${mount}/${controller}${byController.get(controller) ?? cpuacct}`;
    return foldersByController(folder);
  }
  return unified === undefined ? undefined : { version: 2, unified: mount + unified };
}

/** The group of all processes: nothing in particular is counted there. */
export function isTopmost(folders: CgroupFolders, mount = "/sys/fs/cgroup"): boolean {
  return folders.version === 2 ? folders.unified === `${mount}/` : folders.memory === `${mount}/memory/`;
}

/** Usage of the control groups now; undefined once they are gone, or where the kernel counts no memory for them. */
export async function readCgroupUsage(folders: CgroupFolders): Promise<CgroupUsage | undefined> {
  try {
    return folders.version === 2 ? await readVersion2(folders.unified) : await readVersion1(folders);
  } catch (error) {
    const code = errnoOf(error);
    // The kernel answers ENODEV when the group goes while its file is open.
    if (code === "ENOENT" || code === "ENODEV") return undefined;
    throw error;
  }
}

async function readVersion2(folder: string): Promise<CgroupUsage> {
  const [cpu, current, memory, swap, limit, processes, threads, stalls] = await Promise.all([
    fieldsOf(`${folder}/cpu.stat`),
    numberIn(`${folder}/memory.current`),
    fieldsOf(`${folder}/memory.stat`),
    numberIn(`${folder}/memory.swap.current`).catch(() => 0),
    numberIn(`${folder}/memory.max`).catch(() => Number.NaN),
    linesOf(`${folder}/cgroup.procs`),
    numberIn(`${folder}/pids.current`).catch(() => 0),
    readStalls((resource) => `${folder}/${resource}.pressure`),
  ]);
  const of = (fields: ReadonlyMap<string, number>, name: string): number => fields.get(name) ?? 0;
  return {
    cpu_ns: of(cpu, "usage_usec") * 1000,
    cpuUser_ns: of(cpu, "user_usec") * 1000,
    cpuSystem_ns: of(cpu, "system_usec") * 1000,
    periods: of(cpu, "nr_periods"),
    throttledPeriods: of(cpu, "nr_throttled"),
    throttled_ns: of(cpu, "throttled_usec") * 1000,
    memory_bytes: current,
    workingSet_bytes: Math.max(0, current - of(memory, "inactive_file")),
    rss_bytes: of(memory, "anon"),
    cache_bytes: of(memory, "file"),
    mapped_bytes: of(memory, "file_mapped"),
    swap_bytes: swap,
    pageFaults: of(memory, "pgfault"),
    majorPageFaults: of(memory, "pgmajfault"),
    memoryLimit_bytes: boundedOf(limit),
    processes,
    threads,
    stalls,
  };
}

async function readVersion1(folders: Extract<CgroupFolders, { version: 1 }>): Promise<CgroupUsage> {
  const [total_ns, ticks, throttling, usage, memory, limit, processes, threads] = await Promise.all([
    numberIn(`${folders.cpuacct}/cpuacct.usage`),
    fieldsOf(`${folders.cpuacct}/cpuacct.stat`),
    fieldsOf(`${folders.cpu}/cpu.stat`).catch(() => new Map<string, number>()),
    numberIn(`${folders.memory}/memory.usage_in_bytes`),
    fieldsOf(`${folders.memory}/memory.stat`),
    numberIn(`${folders.memory}/memory.limit_in_bytes`).catch(() => Number.NaN),
    linesOf(`${folders.cpu}/cgroup.procs`),
    numberIn(`${folders.pids}/pids.current`).catch(() => 0),
  ]);
  // With total_ in front they count what is below too.
  const of = (name: string): number => memory.get(`total_${name}`) ?? memory.get(name) ?? 0;
  const tick_ns = 1e9 / ticks_hz;
  return {
    cpu_ns: total_ns,
    cpuUser_ns: (ticks.get("user") ?? 0) * tick_ns,
    cpuSystem_ns: (ticks.get("system") ?? 0) * tick_ns,
    periods: throttling.get("nr_periods") ?? 0,
    throttledPeriods: throttling.get("nr_throttled") ?? 0,
    throttled_ns: throttling.get("throttled_time") ?? 0,
    memory_bytes: usage,
    workingSet_bytes: Math.max(0, usage - of("inactive_file")),
    rss_bytes: of("rss"),
    cache_bytes: of("cache"),
    mapped_bytes: of("mapped_file"),
    swap_bytes: of("swap"),
    pageFaults: of("pgfault"),
    majorPageFaults: of("pgmajfault"),
    memoryLimit_bytes: boundedOf(limit),
    processes,
    threads,
    stalls: {},
  };
}

/** Version 2 has a word for "none", version 1 a number near the largest. */
const boundedOf = (limit: number): number | undefined => (limit < 2 ** 62 ? limit : undefined);

/** A group of the kind "threaded" does not tell its processes. */
async function linesOf(path: string): Promise<number> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text.split("\n").length - 1;
}

async function numberIn(path: string): Promise<number> {
  return Number((await readFile(path, "utf8")).trim());
}

async function fieldsOf(path: string): Promise<Map<string, number>> {
  const fields = new Map<string, number>();
  for (const line of (await readFile(path, "utf8")).split("\n")) {
    const space = line.indexOf(" ");
    if (space > 0) fields.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return fields;
}
