import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type Docker from "dockerode";
import { asRuntime, statusCodeOf, toRuntimeError, unless } from "./docker-errors.ts";
import { collect, openSession } from "./docker-streams.ts";
import { killTree } from "./process-tree.ts";
import { type ExecOptions, type ExecResult, type ExecSession, RuntimeError } from "./runtime.ts";

/** Docker closes the output slightly before it has noted the exit code: asked again, with growing pauses. */
const resizeAgain_ms = [100, 400];
const exitCodePauses_ms = [0, 10, 20, 50, 100, 200, 400, 800, 1600];

interface StartedExec {
  readonly exec: Docker.Exec;
  readonly session: ExecSession;
}

/** Starts a process in a running container. RuntimeError not-found, or other when the container does not run. */
export async function startExec(docker: Docker, id: string, options: ExecOptions): Promise<StartedExec> {
  const what = `exec in container ${id}`;
  const exec = await asRuntime(what, () =>
    docker.getContainer(id).exec({
      Cmd: [...options.command],
      AttachStdin: options.stdin,
      AttachStdout: options.stdout,
      AttachStderr: options.stderr,
      Tty: options.tty,
    }),
  );
  const connection: Duplex = await asRuntime(what, () =>
    exec.start({ hijack: true, stdin: options.stdin, Detach: false, Tty: options.tty }),
  );
  const session = openSession(connection, {
    stdin: options.stdin,
    tty: options.tty,
    exitCode: () => asRuntime(what, () => exitCodeOf(() => exec.inspect())),
    resize: async (columns, rows) => {
      await resizeExec(exec, what, { w: columns, h: rows });
    },
  });
  return { exec, session };
}

/** Podman says yes (201) also while the process is only about to start, and forgets the size then: it is told again. */
async function resizeExec(
  exec: Docker.Exec,
  what: string,
  size: { readonly w: number; readonly h: number },
): Promise<void> {
  try {
    await exec.resize(size);
  } catch (error) {
    if (statusCodeOf(error) !== 201) throw toRuntimeError(what, error);
    for (const pause_ms of resizeAgain_ms) {
      await delay(pause_ms);
      // 404, 409, 500: it has ended meanwhile.
      await unless([201, 404, 409, 500], what, () => exec.resize(size));
    }
  }
}

/** Runs a command to its end; see ContainerRuntime.execSync. */
export async function execSync(
  docker: Docker,
  id: string,
  command: readonly string[],
  timeout_ms: number,
  maxOutput_bytes: number,
): Promise<ExecResult> {
  const streams = { stdin: false, stdout: true, stderr: true, tty: false };
  const { exec, session } = await startExec(docker, id, { command, ...streams });
  const stdout = collect(session.stdout, maxOutput_bytes);
  const stderr = collect(session.stderr, maxOutput_bytes);
  const timeUp = Promise.withResolvers<"time is up">();
  const timer = timeout_ms > 0 ? setTimeout(() => timeUp.resolve("time is up"), timeout_ms) : undefined;
  try {
    const outcome = await Promise.race([session.exited, timeUp.promise]);
    if (outcome !== "time is up") {
      return { exitCode: outcome, stdout: stdout.text(), stderr: stderr.text(), timedOut: false };
    }
    await killExec(exec);
    return { exitCode: 137, stdout: stdout.text(), stderr: stderr.text(), timedOut: true };
  } finally {
    clearTimeout(timer);
    session.close();
  }
}

/** The exit code of an exec or a container whose output has ended; RuntimeError when it runs on nevertheless. */
export async function exitCodeOf(
  inspect: () => Promise<{ readonly Running: boolean; readonly ExitCode: number | null }>,
): Promise<number> {
  for (const pause_ms of exitCodePauses_ms) {
    if (pause_ms > 0) await delay(pause_ms);
    const { Running, ExitCode } = await inspect();
    if (!Running && ExitCode !== null) return ExitCode;
  }
  throw new RuntimeError("other", "the output ended but the process has no exit code yet");
}

/** Docker cannot end an exec: its process is killed by PID, with what it started, lest a probe's children pile up. */
async function killExec(exec: Docker.Exec): Promise<void> {
  const { Running, Pid } = await asRuntime("inspect exec", () => exec.inspect());
  if (!Running || Pid <= 1) return;
  await killTree(Pid);
}
