/** Programs of a board as install.sh has it run them: by systemd, or by Bramble's own supervisor where there is none. */
import { chmodSync, existsSync } from "node:fs";
import type { BoardProgram } from "./process-note.ts";

const units = "/etc/systemd/system";
const scripts = "/etc/bramble/supervised";
const supervisor = "/usr/local/lib/bramble/supervise";

/** Each call throws ServiceError. */
export interface BoardService {
  start(): void;
  /** Until it is started, or the board. */
  stop(): void;
  /** Starts it now and with the board. */
  enable(): void;
  /** Ends it for good. */
  disable(): void;
}

/** What a person has to look at; the message says which command failed, and how. */
class ServiceError extends Error {
  override readonly name = "UserError";
}

/** Undefined where this program is not installed as a service. */
export function serviceOf(program: BoardProgram): BoardService | undefined {
  const name = `bramble-${program}`;
  if (existsSync("/run/systemd/system") && existsSync(`${units}/${name}.service`))
    return systemdService(`${name}.service`);
  const script = `${scripts}/${name}`;
  return existsSync(script) ? supervisedService(name, script) : undefined;
}

const systemdService = (unit: string): BoardService => ({
  start: () => execute(["systemctl", "start", unit]),
  stop: () => execute(["systemctl", "stop", unit]),
  enable: () => execute(["systemctl", "enable", "--quiet", "--now", unit]),
  disable: () => execute(["systemctl", "disable", "--quiet", "--now", unit]),
});

/** The supervisor starts what may be executed. */
const supervisedService = (name: string, script: string): BoardService => ({
  start: () => execute([supervisor, "start", name]),
  stop: () => execute([supervisor, "stop", name]),
  enable() {
    chmodSync(script, 0o755);
    execute([supervisor, "start", name]);
  },
  disable() {
    execute([supervisor, "stop", name]);
    chmodSync(script, 0o644);
  },
});

function execute(command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync({
    cmd: command,
    // By itself it passes on what this process was started with.
    env: process.env,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  if (exitCode !== 0) throw new ServiceError(`\`${command.join(" ")}\` failed: ${stderr.toString().trim()}`);
}
