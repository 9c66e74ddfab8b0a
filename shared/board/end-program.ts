import { existsSync, rmSync } from "node:fs";
import { type BoardProgram, runningProcess } from "./process-note.ts";

const within_ms = 60_000;
const look_ms = 100;
const supervisor = "/usr/local/lib/bramble/supervise";

/** A program does not end; the message says what to do. */
class EndError extends Error {
  override readonly name = "UserError";
}

/** Ends a program of this board, however it was started, so that it does not come back with the next boot. Its pods go on. */
export async function endProgram(program: BoardProgram, runDir: string): Promise<void> {
  const name = `bramble-${program}`;
  const unit = `${name}.service`;
  if (Bun.which("systemctl") && Bun.spawnSync({ cmd: ["systemctl", "is-active", "--quiet", unit] }).exitCode === 0)
    execute(["systemctl", "disable", "--now", unit]);
  // What install.sh makes of it where there is no systemd.
  const supervised = `/etc/bramble/supervised/${name}`;
  if (existsSync(supervised)) {
    execute([supervisor, "stop", name]);
    rmSync(supervised);
  }
  // Started by hand.
  const pid = runningProcess(runDir, program);
  if (pid === undefined) return;
  process.kill(pid, "SIGTERM");
  const deadline_ms = performance.now() + within_ms;
  while (runningProcess(runDir, program) === pid) {
    if (performance.now() > deadline_ms)
      throw new EndError(`${name} (PID ${pid}) does not end. End it, then run the command again`);
    await Bun.sleep(look_ms);
  }
}

function execute(command: string[]): void {
  const result = Bun.spawnSync({ cmd: command, stdout: "ignore", stderr: "pipe" });
  if (result.exitCode !== 0) throw new EndError(`\`${command.join(" ")}\` failed: ${result.stderr.toString().trim()}`);
}
