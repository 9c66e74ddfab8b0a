import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What runs on a board for as long as it is on. */
export type BoardProgram = "master" | "worker" | "etcd";

const pathIn = (runDir: string, program: BoardProgram): string => join(runDir, `${program}.pid`);

/** Two of a kind on one board would take each other's ports and files; the message says what to do. */
class RunsAlreadyError extends Error {
  override readonly name = "UserError";
}

/** Leaves a note of this process, for who is to end it by hand. Throws UserError where another one has left its note and runs.
 *  @returns what takes it away again. */
export function noteProcess(runDir: string, program: BoardProgram): () => void {
  const other = runningProcess(runDir, program);
  if (other !== undefined && other !== process.pid)
    throw new RunsAlreadyError(
      `bramble ${program} runs on this board already (PID ${other}): end that one first, with systemctl stop bramble-${program} where it is a service`,
    );
  mkdirSync(runDir, { recursive: true });
  writeFileSync(pathIn(runDir, program), `${process.pid} ${beginOf(process.pid)}\n`);
  return () => rmSync(pathIn(runDir, program), { force: true });
}

/** The id of the process that left the note. An id that went to another process since is not taken for it. */
export function runningProcess(runDir: string, program: BoardProgram): number | undefined {
  const [pid = "", begin] = (readIfThere(pathIn(runDir, program)) ?? "").trim().split(" ");
  return /^[1-9][0-9]*$/.test(pid) && begin !== undefined && beginOf(Number(pid)) === begin ? Number(pid) : undefined;
}

/** When a process began (field 22 of /proc/PID/stat); the name before it may hold blanks. undefined for none, and for one that
 *  has ended and that only its parent has not asked about. */
function beginOf(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`) ?? "";
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? undefined : fields[19];
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
