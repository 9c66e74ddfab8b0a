import { type ChildProcess, spawn } from "node:child_process";
import { errnoOf } from "#shared/files/if-present.ts";

export interface ChildOptions {
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** For its standard input. */
  readonly input: string;
  /** After this it is ended, with all that it started. */
  readonly timeout_ms: number;
  /** So is one that says more than this. */
  readonly maxOutput_bytes: number;
}

export interface ChildOutcome {
  /** null when it was killed. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/** How long what a program said may take to arrive after its end: it may have left something behind that never closes its
 *  output. */
const drain_ms = 1_000;

/** Runs a program to its end. Rejects when it cannot be started. */
export function runChild(program: string, args: readonly string[], options: ChildOptions): Promise<ChildOutcome> {
  const { promise, resolve, reject } = Promise.withResolvers<ChildOutcome>();
  // In a group of its own: what it waits for, such as iptables or mount.nfs, would outlive it and hold its output open.
  const child = spawn(program, args, { env: options.env ?? process.env, stdio: "pipe", detached: true });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child);
  }, options.timeout_ms);
  let size_bytes = 0;
  const gather = (stream: NodeJS.ReadableStream): Buffer[] => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => {
      size_bytes += chunk.length;
      if (size_bytes > options.maxOutput_bytes) killGroup(child);
      else chunks.push(chunk);
    });
    return chunks;
  };
  const stdout = gather(child.stdout);
  const stderr = gather(child.stderr);
  const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString("utf8");
  const finish = (code: number | null): void => {
    clearTimeout(timer);
    resolve({ code, stdout: text(stdout), stderr: text(stderr), timedOut });
  };
  child.once("error", (error) => {
    clearTimeout(timer);
    reject(error);
  });
  child.once("exit", (code) => {
    const drain = setTimeout(() => {
      finish(code);
      child.stdout.destroy();
      child.stderr.destroy();
    }, drain_ms);
    child.once("close", () => {
      clearTimeout(drain);
      finish(code);
    });
  });
  // A program that ends early breaks the pipe; its exit code tells what was wrong.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input);
  return promise;
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // All of it has ended meanwhile.
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}
