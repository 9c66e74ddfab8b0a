import { type BoardProgram, runningProcess } from "./process-note.ts";
import { serviceOf } from "./service.ts";

const within_ms = 60_000;
const look_ms = 100;

/** A program does not end; the message says what to do. */
class EndError extends Error {
  override readonly name = "UserError";
}

/** Ends a program of this board, however it was started, so that it does not come back with the next boot. Its pods go on. */
export async function endProgram(program: BoardProgram, runDir: string): Promise<void> {
  serviceOf(program)?.disable();
  // Started by hand.
  const pid = runningProcess(runDir, program);
  if (pid === undefined) return;
  process.kill(pid, "SIGTERM");
  const deadline_ms = performance.now() + within_ms;
  while (runningProcess(runDir, program) === pid) {
    if (performance.now() > deadline_ms)
      throw new EndError(`bramble-${program} (PID ${pid}) does not end. End it, then run the command again`);
    await Bun.sleep(look_ms);
  }
}
