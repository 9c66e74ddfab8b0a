import { runChild } from "#agent/host/child-process.ts";

/** Runs a program of the board (ip, bridge, iptables) and resolves with its standard output. Rejects with CommandError. */
export type CommandRunner = (command: string, args: readonly string[], input?: string) => Promise<string>;

const maxOutput_bytes = 8 * 1024 * 1024;
const timeout_ms = 60_000;

export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number | null;
  readonly stderr: string;
  constructor(
    command: string,
    args: readonly string[],
    exitCode: number | null,
    stderr: string,
    options?: ErrorOptions,
  ) {
    const how = exitCode === null ? "was killed or did not start" : `failed (${exitCode})`;
    super(`${[command, ...args].join(" ")} ${how}: ${stderr.trim()}`, options);
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

/** Runs programs where the agent runs. With a `prefix` (`nsenter`, …) somewhere else. */
export function commandRunner(prefix: readonly string[] = []): CommandRunner {
  return async (command, args, input = "") => {
    const [program = command, ...rest] = [...prefix, command, ...args];
    const outcome = runChild(program, rest, { input, timeout_ms, maxOutput_bytes });
    const { code, stdout, stderr } = await outcome.catch((error: Error) => {
      throw new CommandError(command, args, null, error.message, { cause: error });
    });
    if (code !== 0) throw new CommandError(command, args, code, stderr);
    return stdout;
  };
}
