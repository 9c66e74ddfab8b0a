import { readFile } from "node:fs/promises";
import { childrenOf, killTree } from "../process-tree.ts";

/** By how much a process may seem to have begun too early: clock ticks, and the time of boot in whole seconds. */
const doubt_ms = 1_100;
const ticksPerSecond = 100;

/**
 * Ends a command that runs in a container, with what it started: CRI tells no process id and ends the first process alone.
 * It is a child of the container's shim, as the container's own process is. One of the same words that began earlier is left.
 * @param pid the container's own process.
 */
export async function killExec(pid: number, command: readonly string[], begun_ms: number): Promise<void> {
  const shim = Number(/^PPid:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]);
  const wanted = `${command.join("\0")}\0`;
  for (const child of await childrenOf(shim)) {
    if (child === pid) continue;
    const [said, started_ms] = await Promise.all([textOf(`/proc/${child}/cmdline`), startedAt_ms(child)]);
    if (said === wanted && started_ms >= begun_ms - doubt_ms) return await killTree(child);
  }
}

/** Ended meanwhile: there is nothing to read. */
const textOf = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");

/** 0 for one that has ended. */
async function startedAt_ms(pid: number): Promise<number> {
  const [stat, system] = await Promise.all([textOf(`/proc/${pid}/stat`), textOf("/proc/stat")]);
  const ticks = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  const boot_s = Number(/^btime (\d+)/m.exec(system)?.[1]);
  return Number.isNaN(ticks) ? 0 : (boot_s + ticks / ticksPerSecond) * 1000;
}
