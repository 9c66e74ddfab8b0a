import { spawn } from "node:child_process";

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
  return (command, args, input) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const [program = command, ...rest] = [...prefix, command, ...args];
    const child = spawn(program, rest, { timeout: timeout_ms, killSignal: "SIGKILL" });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let size_bytes = 0;
    const keep = (chunks: Buffer[]) => (chunk: Buffer) => {
      size_bytes += chunk.length;
      if (size_bytes > maxOutput_bytes) child.kill("SIGKILL");
      else chunks.push(chunk);
    };
    child.stdout.on("data", keep(stdout));
    child.stderr.on("data", keep(stderr));
    child.once("error", (error) => reject(new CommandError(command, args, null, error.message, { cause: error })));
    child.once("close", (code) => {
      if (code === 0) resolve(Buffer.concat(stdout).toString("utf8"));
      else reject(new CommandError(command, args, code, Buffer.concat(stderr).toString("utf8")));
    });
    // A program that ends early breaks the pipe; its exit code tells what was wrong.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input ?? "");
    return promise;
  };
}
