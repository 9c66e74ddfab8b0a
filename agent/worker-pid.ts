import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const pathIn = (runDir: string): string => join(runDir, "worker.pid");

/** Leaves a note of this process, for `bramble worker leave`. @returns what takes it away again. */
export function noteWorker(runDir: string): () => void {
  mkdirSync(runDir, { recursive: true });
  writeFileSync(pathIn(runDir), `${process.pid} ${beginOf(process.pid)}\n`);
  return () => rmSync(pathIn(runDir), { force: true });
}

/** The id of the worker that runs with this folder. An id that went to another process since is not taken for it. */
export function runningWorker(runDir: string): number | undefined {
  const [pid = "", begin] = (readIfThere(pathIn(runDir)) ?? "").trim().split(" ");
  return /^[1-9][0-9]*$/.test(pid) && begin !== undefined && beginOf(Number(pid)) === begin ? Number(pid) : undefined;
}

/** When a process began (field 22 of /proc/PID/stat); the name before it may hold blanks. */
function beginOf(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ESRCH: the process ended while its file was read.
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}
