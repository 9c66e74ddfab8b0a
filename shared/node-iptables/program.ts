import { spawn } from "node:child_process";

export class IptablesError extends Error {
  override readonly name = "IptablesError";
  constructor(
    readonly command: string,
    readonly exitCode: number,
    readonly stderr: string,
  ) {
    super(`${command} failed with ${exitCode}: ${stderr.trim()}`);
  }
}

/** Runs a program, with words such as `nsenter --net=…` before it, and resolves with what it printed. */
export function runProgram(
  prefix: readonly string[],
  program: string,
  args: readonly string[],
  input = "",
): Promise<string> {
  const [command = program, ...words] = [...prefix, program, ...args];
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk;
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk;
    });
    child.on("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "ENOENT" ? new IptablesError(program, -1, `${command} is not installed`) : error),
    );
    child.on("close", (code) => {
      if (code === 0) resolve(stdout);
      else reject(new IptablesError(`${program} ${args.join(" ")}`, code ?? -1, stderr));
    });
    // A program that ends early breaks the pipe; its exit code tells why.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}
