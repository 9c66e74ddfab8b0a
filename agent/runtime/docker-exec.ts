import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type Docker from "dockerode";
import { asRuntime, statusCodeOf, toRuntimeError, unless } from "./docker-errors.ts";
import { openSession } from "./docker-streams.ts";
import { killTree } from "./process-tree.ts";
import { type ExecOptions, type ExecSession, RuntimeError } from "./runtime.ts";

/** Docker closes the output slightly before it has noted the exit code: asked again, with growing pauses. */
const resizeAgain_ms = [100, 400];
const exitCodePauses_ms = [0, 10, 20, 50, 100, 200, 400, 800, 1600];
/** A busy machine takes its time until a process has begun. */
const beginning = { looks: 600, every_ms: 50 } as const;

/** Starts a process in a running container. RuntimeError not-found, or other when the container does not run. */
export async function startExec(docker: Docker, id: string, options: ExecOptions): Promise<ExecSession> {
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
  return openSession(connection, {
    stdin: options.stdin ? connection : undefined,
    tty: options.tty,
    exitCode: () => asRuntime(what, () => exitCodeOf(() => exec.inspect())),
    resize: async (columns, rows) => {
      await resizeExec(exec, what, { w: columns, h: rows });
    },
  });
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

/** What Docker says of an exec. */
export interface ExecProcess {
  readonly Running: boolean;
  readonly ExitCode: number | null;
  /** On the board; 0 before it runs. */
  readonly Pid: number;
}

/** The exit code of an exec whose output has ended; RuntimeError when it runs on nevertheless. */
export async function exitCodeOf(inspect: () => Promise<Pick<ExecProcess, "Running" | "ExitCode">>): Promise<number> {
  for (const pause_ms of exitCodePauses_ms) {
    if (pause_ms > 0) await delay(pause_ms);
    const { Running, ExitCode } = await inspect();
    if (!Running && ExitCode !== null) return ExitCode;
  }
  throw new RuntimeError("other", "the output ended but the process has no exit code yet");
}

/**
 * Docker cannot end an exec: its process is killed by PID, with what it started, lest a probe's children pile up. One that is
 * only about to begin has no PID yet, and is waited for.
 */
export async function killExec(inspect: () => Promise<ExecProcess>): Promise<void> {
  for (let look = 0; look < beginning.looks; look++) {
    const { Running, ExitCode, Pid } = await inspect();
    if (Running && Pid > 1) return await killTree(Pid);
    if (!Running && ExitCode !== null) return;
    await delay(beginning.every_ms);
  }
}
