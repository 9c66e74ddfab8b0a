import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { parseMeminfo } from "./board.ts";
import { type InterfaceCounters, parseNetDev } from "./interface-counters.ts";
import { type ResourceStalls, readStalls } from "./stalls.ts";

/** What the kernel counts of the whole board: read when somebody asks. */
export interface NodeFigures {
  readonly at_ms: number;
  /** Time that was not idle, of all cores together, since boot. */
  readonly cpu_ns: number;
  readonly memory: {
    readonly available_bytes: number;
    /** With caches. */
    readonly usage_bytes: number;
    /** Without what could be taken back at once. */
    readonly workingSet_bytes: number;
    readonly rss_bytes: number;
    readonly pageFaults: number;
    readonly majorPageFaults: number;
  };
  readonly swap: { readonly available_bytes: number; readonly used_bytes: number };
  readonly stalls: ResourceStalls;
  /** Processes and threads: how many there may be, and are. */
  readonly tasks: { readonly most: number; readonly present: number };
  readonly interfaces: readonly InterfaceCounters[];
}

/** Read from the kernel now. @param root "/", or where a copy of /proc stands. */
export async function readNodeFigures(root = "/"): Promise<NodeFigures> {
  const read = (path: string): Promise<string> => readFile(`${root}proc/${path}`, "utf8");
  const [meminfo, vmstat, loadavg, pidMax, threadsMax, network, stalls] = await Promise.all([
    read("meminfo"),
    read("vmstat"),
    read("loadavg"),
    read("sys/kernel/pid_max"),
    read("sys/kernel/threads-max"),
    read("net/dev"),
    readStalls((resource) => `${root}proc/pressure/${resource}`),
  ]);
  const memory = parseMeminfo(meminfo);
  const of = (name: string): number => memory.get(name) ?? 0;
  const counted = (name: string): number => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(vmstat)?.[1] ?? 0);
  return {
    at_ms: Date.now(),
    cpu_ns: busy_ns(),
    memory: {
      available_bytes: of("MemAvailable"),
      usage_bytes: of("MemTotal") - of("MemFree"),
      workingSet_bytes: of("MemTotal") - of("MemAvailable"),
      rss_bytes: of("AnonPages"),
      pageFaults: counted("pgfault"),
      majorPageFaults: counted("pgmajfault"),
    },
    swap: { available_bytes: of("SwapFree"), used_bytes: of("SwapTotal") - of("SwapFree") },
    stalls,
    tasks: {
      most: Math.min(Number(pidMax), Number(threadsMax)),
      // The fourth field is running/existing scheduling entities.
      present: Number(loadavg.split(" ")[3]?.split("/")[1] ?? 0),
    },
    interfaces: parseNetDev(network).filter(({ name }) => !isPodsWire(name)),
  };
}

/** What passes a pod's wire is counted at the pod. */
const isPodsWire = (name: string): boolean => /^(?:veth|docker)/.test(name);

/** Time that was not idle, of all cores together, since boot. */
export function busy_ns(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) * 1_000_000;
}
