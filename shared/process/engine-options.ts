/**
 * Options of the JavaScript engine that it takes from its environment alone, before any code of the program runs: a program that is
 * to run for long puts itself into its own place once, with them. PID, streams and arguments stay.
 */
import { readFileSync } from "node:fs";
import { become } from "./become.ts";
import { ample_bytes } from "./usable-memory.ts";

export type EngineOptions = Readonly<Record<string, string>>;

/**
 * The engine's last compiler makes the fastest code and takes by far the longest, some 200 µs of each of the first 10,000
 * creates, on a core that others need. Four times later than by itself it makes code of what runs most, and spares the rest.
 */
export const engineOptions: EngineOptions = { BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "256000" };

/**
 * The engine lets its heap grow by what it takes for the memory that is there: to twice what lived after a collection while that is
 * less than a quarter of it, half as much more while it is less than a half, then by a quarter. It sees the machine's memory, not what
 * its control group leaves it, and reckons to have all of it; on a board a good half is for pods, Docker and what other parts hold
 * outside of the heap.
 * @param usable_bytes of memory that the process may use.
 */
export const heapOptions = (usable_bytes: number): EngineOptions =>
  usable_bytes < ample_bytes ? { BUN_JSC_forceRAMSize: String(Math.floor(usable_bytes / 2)) } : {};

/** What runs for as long as a board is on. */
export const longRunningCommands: readonly string[] = [
  "master",
  "worker",
  "apiserver",
  "scheduler",
  "controller-manager",
  "kubelet",
  "proxy",
  "dns",
];

/** Whether it is worth a second start. @param args of the program. */
export const runsLong = ([command = "", ...others]: readonly string[]): boolean =>
  longRunningCommands.includes(command) && !others.includes("leave");

/** Starts this program again in its own place unless it has the options, and keeps them from the programs that it starts. Where
 *  it cannot be started it goes on without them, and says so. */
export function startWithOptions(options: EngineOptions): void {
  // What stands there already is ours, of the start before, or a person's.
  if (Object.keys(options).some((name) => process.env[name] === undefined)) startAgain({ ...options, ...process.env });
  for (const name of Object.keys(options)) delete process.env[name];
}

function startAgain(env: Readonly<Record<string, string | undefined>>): void {
  try {
    const args = readFileSync("/proc/self/cmdline", "utf8").split("\0").slice(1, -1);
    become(process.execPath, args, env as Readonly<Record<string, string>>);
  } catch (error) {
    console.error(`bramble: going on with the engine's own options: ${error instanceof Error ? error.message : error}`);
  }
}
