import { readFile } from "node:fs/promises";
import { errnoOf } from "#shared/files/if-present.ts";

/** Ends a process of this machine with what it started, at once. */
export async function killTree(root: number): Promise<void> {
  for (const pid of [...(await descendants(root)), root]) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if (errnoOf(error) !== "ESRCH") throw error;
    }
  }
}

export async function childrenOf(pid: number): Promise<number[]> {
  // The process may end meanwhile; a kernel without CONFIG_PROC_CHILDREN has no such file. Both: no children known.
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return text.split(" ").filter(Boolean).map(Number);
}

/** Children, their children and so on: a snapshot, bounded by the container's processes. */
async function descendants(pid: number): Promise<number[]> {
  const found: number[] = [];
  const queue = [pid];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const children = await childrenOf(next);
    found.push(...children);
    queue.push(...children);
  }
  return found;
}
