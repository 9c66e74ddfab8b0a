import { connect as connectSocket } from "node:net";
import { type Duplex, PassThrough, type Readable } from "node:stream";
import { SpdyConnection } from "#agent/spdy/connection.ts";
import { outOfUrl } from "#shared/http/host-port.ts";
import { writeHead } from "#shared/http/http-over-stream.ts";
import { type ExecSession, RuntimeError } from "../runtime.ts";

/** A connection to the runtime's streaming server, which listens on loopback. */
export type Dial = (host: string, port: number) => Promise<Duplex>;

export interface StreamOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
  /** To a process that runs already, of which no exit code is told. */
  readonly isAttachment?: boolean | undefined;
}

const protocol = "v4.channel.k8s.io";
const upgrade_ms = 30_000;
const longestStatus_bytes = 64 * 1024;

const dialTcp: Dial = (host, port) =>
  new Promise((resolve, reject) => {
    const socket = connectSocket({ host, port });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });

/**
 * Opens what the runtime gave a URL for (CRI: Exec, Attach), over SPDY: WebSockets of these servers cannot end the input.
 * Rejects with RuntimeError.
 */
export async function openStreams(url: string, options: StreamOptions, dial: Dial = dialTcp): Promise<ExecSession> {
  const what = "the runtime's streaming server";
  let socket: Duplex;
  try {
    socket = await upgraded(new URL(url), dial);
  } catch (error) {
    throw new RuntimeError("other", `${what}: ${(error as Error).message}`, { cause: error });
  }
  const connection = new SpdyConnection(socket, "client");
  socket.resume();
  const open = (type: string) => connection.open({ streamtype: type });
  const error = open("error");
  const stdin = options.stdin ? open("stdin") : undefined;
  const stdout = options.stdout ? open("stdout") : undefined;
  const stderr = options.stderr && !options.tty ? open("stderr") : undefined;
  const resizes = options.tty ? open("resize") : undefined;
  // What is only read must be ended on our side too.
  for (const stream of [error, stdout, stderr]) stream?.end();

  const [out, err] = [passed(stdout, connection), options.tty ? undefined : passed(stderr, connection)];
  const status = textOf(error);
  const exited = (async () => {
    const text = await status;
    await Promise.all([stdout, stderr].map((stream) => stream && ended(stream)));
    connection.close();
    // Of an attachment some servers only close the streams.
    return text === "" && options.isAttachment ? 0 : exitCodeOf(text);
  })();
  // Who only copies streams need not look at it.
  exited.catch(() => undefined);
  return {
    stdin,
    stdout: out,
    stderr: err,
    exited,
    resize: (columns, rows) => {
      resizes?.write(`${JSON.stringify({ Width: columns, Height: rows })}\n`);
      return Promise.resolve();
    },
    close: () => connection.close(),
  };
}

/** A stream's output; ends, and does not break, when the connection does. */
function passed(stream: Readable | undefined, connection: SpdyConnection): PassThrough {
  const output = new PassThrough();
  if (!stream) return output.end();
  stream.pipe(output);
  stream.once("close", () => output.end());
  void connection.closed.then(() => output.end());
  return output;
}

const ended = (stream: Readable): Promise<void> =>
  new Promise((resolve) => {
    if (stream.readableEnded || stream.destroyed) return resolve();
    stream.once("end", resolve);
    stream.once("close", resolve);
  });

async function textOf(stream: Readable): Promise<string> {
  let text = "";
  try {
    for await (const chunk of stream) if (text.length < longestStatus_bytes) text += String(chunk);
  } catch {
    // The connection ended: what came is what there is.
  }
  return text;
}

/** From the metav1.Status at the end of the error stream. Throws RuntimeError when the command could not run. */
function exitCodeOf(text: string): number {
  if (text === "") throw new RuntimeError("unavailable", "the runtime's stream ended without a word");
  let status: { status?: unknown; reason?: unknown; message?: unknown; details?: { causes?: unknown } };
  try {
    status = JSON.parse(text);
  } catch {
    throw new RuntimeError("other", text);
  }
  if (status.status === "Success") return 0;
  const causes = Array.isArray(status.details?.causes) ? status.details.causes : [];
  const cause = causes.find((each: { reason?: unknown }) => each?.reason === "ExitCode");
  if (status.reason === "NonZeroExitCode" && cause) return Number(cause.message);
  throw new RuntimeError("other", String(status.message ?? text));
}

/** The connection behind the answer to an upgrade. Rejects with what a server says that does not. */
async function upgraded(url: URL, dial: Dial): Promise<Duplex> {
  const connection = await dial(outOfUrl(url.hostname), Number(url.port));
  const headers = { Host: url.host, Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": protocol };
  writeHead(connection, "POST", url.pathname + url.search, [
    ...Object.entries(headers).flat(),
    ...["Content-Length", "0"],
  ]);
  const late = setTimeout(() => connection.destroy(new Error(`no answer within ${upgrade_ms / 1000} s`)), upgrade_ms);
  try {
    const head = await answerHead(connection);
    if (!/^HTTP\/1\.1 101 /.test(head)) throw new Error(head.split("\r\n")[0]);
    return connection;
  } catch (error) {
    connection.destroy();
    throw error;
  } finally {
    clearTimeout(late);
  }
}

function answerHead(connection: Duplex): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const stop = (): void => {
      connection.off("data", take).off("error", reject).off("close", closed);
      connection.pause();
    };
    const closed = (): void => reject(new Error("the connection closed before the answer"));
    const take = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf("\r\n\r\n");
      if (end < 0 && received.length < longestStatus_bytes) return;
      stop();
      const rest = received.subarray(end + 4);
      if (end >= 0 && rest.length > 0) connection.unshift(rest);
      resolve(received.toString("latin1", 0, Math.max(0, end)));
    };
    connection.on("data", take).once("error", reject).once("close", closed);
  });
}
