import { Duplex } from "node:stream";
import type Docker from "dockerode";
import type { EarlyOutput } from "./docker-early-output.ts";
import { asRuntime, unless } from "./docker-errors.ts";
import { openSession } from "./docker-streams.ts";
import { type AttachOptions, type ExecSession, RuntimeError } from "./runtime.ts";

/** Docker hands on what a process said last when it has ended; from then on its silence is the end. */
const silence_ms = 1000;
/** For the answer to the end of what a process was told. */
const lastWords_ms = 500;

/**
 * The streams of a container's main process, as ContainerRuntime.attach gives them. `details` are as of now. RuntimeError
 * other when the process has ended and nothing of it is held.
 */
export async function attachTo(
  docker: Docker,
  { Id, Config, State }: Docker.ContainerInspectInfo,
  options: AttachOptions,
  early: EarlyOutput,
): Promise<ExecSession> {
  const what = `attach to container ${Id}`;
  const container = docker.getContainer(Id);
  const open = (streams: AttachOptions) => asRuntime(what, () => openAttachment(docker, Id, streams));
  const session = {
    tty: Config.Tty,
    exitCode: () => Promise.resolve(0),
    resize: async (columns: number, rows: number) => {
      await unless([201], what, () => container.resize({ w: columns, h: rows }));
    },
  };
  const held = early.take(Id);
  if (held) {
    const takesInput = options.stdin && State.Running;
    const stdin = takesInput ? await open({ stdin: true, stdout: false, stderr: false }) : undefined;
    // The process waits for the next who gives it input: its output ends for this one, as Docker ends it by itself.
    if (!Config.StdinOnce || Config.Tty) stdin?.once("close", () => setTimeout(held.detach, lastWords_ms));
    return openSession(held.output, { ...session, stdin });
  }
  if (!State.Running) throw new RuntimeError("other", `${what}: it is not running`);
  const connection = await open(options);
  void hasEnded(container, connection).then(() => endInSilence(connection));
  return openSession(connection, { ...session, stdin: options.stdin ? connection : undefined });
}

/**
 * The connection to a container's main process. Asked for without a body: dockerode would repeat the options in one, which
 * Docker ignores and Podman hands to the process as its input.
 */
export function openAttachment(docker: Docker, id: string, streams: AttachOptions): Promise<Duplex> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const query = new URLSearchParams({ stream: "true" });
  for (const name of ["stdin", "stdout", "stderr"] as const) query.set(name, String(streams[name]));
  docker.modem.dial(
    {
      // The client library cuts off the last letter of an address without further options.
      path: `/containers/${id}/attach?${query}&`,
      method: "POST",
      isStream: true,
      hijack: true,
      // An empty body that is said to be empty, so that the request goes out whole before the connection is taken over.
      file: Buffer.alloc(0),
      statusCodes: { 200: true, 404: "no such container", 409: "container is not running", 500: "server error" },
    },
    (error: Error | null, connection: unknown) => {
      if (error !== null) reject(error);
      else if (connection instanceof Duplex) resolve(connection);
      else reject(new Error("the connection to the container cannot be written to"));
    },
  );
  return promise;
}

/** Resolves when the process has ended, or there is nobody left to ask: its container is gone, Docker, or the connection. */
async function hasEnded(container: Docker.Container, connection: Duplex): Promise<void> {
  const leaving = new AbortController();
  connection.once("close", () => leaving.abort());
  await container.wait({ abortSignal: leaving.signal }).catch(() => undefined);
}

/** Docker takes an attachment to a process that ends just then as well, and never ends it. */
function endInSilence(connection: Duplex): void {
  if (connection.destroyed) return;
  const timer = setTimeout(() => {
    // Whoever reads has not taken all of it yet.
    if (connection.isPaused()) timer.refresh();
    else connection.destroy();
  }, silence_ms);
  connection.on("data", () => timer.refresh());
  connection.once("close", () => clearTimeout(timer));
}
