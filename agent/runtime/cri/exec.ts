import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { childrenOf, killTree } from "../process-tree.ts";

/** By how much a process may seem older than it is: ticks of the kernel's clock. */
const doubt_ms = 50;
const tick_ms = 10;
const look_ms = 50;

export interface WantedExec {
  readonly command: readonly string[];
  /** How long ago it was asked for, by a clock that does not jump. */
  readonly age_ms: () => number;
}

/**
 * Ends a command that runs in a container, with what it started: CRI tells no process id and ends the first process alone.
 * It is a child of the container's shim, as the container's own process is. One of the same words that began earlier is left.
 * A busy machine may not have begun it yet: it is looked for until the signal tells that nobody waits for it any more.
 * @param pid the container's own process.
 */
export async function killExec(pid: number, wanted: WantedExec, signal: AbortSignal): Promise<void> {
  const shim = Number(/^PPid:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]);
  while (!signal.aborted) {
    const found = await findExec(shim, pid, wanted);
    if (found !== undefined) return await killTree(found);
    await delay(look_ms);
  }
}

async function findExec(shim: number, own: number, { command, age_ms }: WantedExec): Promise<number | undefined> {
  for (const child of await childrenOf(shim)) {
    if (child === own) continue;
    const [said, itsAge_ms] = await Promise.all([textOf(`/proc/${child}/cmdline`), ageOf_ms(child)]);
    if (isCalled(said.split("\0").slice(0, -1), command) && itsAge_ms <= age_ms() + doubt_ms) return child;
  }
  return undefined;
}

/** Are these a process's words when it was started by the command? A script has its interpreter before them, and its whole path. */
export function isCalled(words: readonly string[], command: readonly string[]): boolean {
  const [name = "", ...rest] = command;
  const [first, ...more] = words.slice(-command.length);
  const isIt = first === name || (words.length > command.length && first?.endsWith(`/${name}`) === true);
  return isIt && more.length === rest.length && more.every((word, index) => word === rest[index]);
}

/** Ended meanwhile: there is nothing to read. */
const textOf = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");

/** How long ago a process began, by the kernel's own clock; Infinity for one that has ended. */
async function ageOf_ms(pid: number): Promise<number> {
  const [stat, uptime] = await Promise.all([textOf(`/proc/${pid}/stat`), textOf("/proc/uptime")]);
  const beganAt_ms = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]) * tick_ms;
  const age_ms = Number(uptime.split(" ")[0]) * 1000 - beganAt_ms;
  return Number.isNaN(age_ms) ? Number.POSITIVE_INFINITY : age_ms;
}
