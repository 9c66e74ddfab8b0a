import { readFile } from "node:fs/promises";
import { errnoOf } from "#shared/files/if-present.ts";

/** Ends a process of this machine with what it started, at once. */
export async function killTree(root: number): Promise<void> {
  for (const pid of await stopTree(root)) signal(pid, "SIGKILL");
}

export async function childrenOf(pid: number): Promise<number[]> {
  // The process may end meanwhile; a kernel without CONFIG_PROC_CHILDREN has no such file. Both: no children known.
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return text.split(" ").filter(Boolean).map(Number);
}

/** Gives the process, its children, their children and so on. They stand still by then: none starts another meanwhile. */
async function stopTree(root: number): Promise<readonly number[]> {
  const found = [root];
  for (const pid of found) {
    signal(pid, "SIGSTOP");
    found.push(...(await childrenOf(pid)));
  }
  return found;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // It has ended by itself.
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}
