import type { Duplex } from "node:stream";
import { SpdyConnection, type SpdyStream } from "#agent/spdy/connection.ts";
import {
  type Outcome,
  outcomeStatus,
  outcomeText,
  type RemoteClient,
  type RemoteCommandOptions,
} from "./remote-command.ts";
import { applyResize } from "./remote-websocket.ts";

/** Protocols for exec and attach over SPDY, best first (header X-Stream-Protocol-Version). */
export const spdyRemoteProtocols = [
  "v4.channel.k8s.io",
  "v3.channel.k8s.io",
  "v2.channel.k8s.io",
  "channel.k8s.io",
] as const;

const streamCreation_ms = 30_000;

/** Waits for the streams that the client opens by type, and makes one client of them. */
export async function spdyClient(
  socket: Duplex,
  protocol: string,
  options: RemoteCommandOptions,
): Promise<RemoteClient> {
  const streams = new Map<string, SpdyStream>();
  const arrived = Promise.withResolvers<void>();
  const canResize = protocol === "v4.channel.k8s.io" || protocol === "v3.channel.k8s.io";
  const expected = [
    "error",
    ...(options.stdin ? ["stdin"] : []),
    ...(options.stdout ? ["stdout"] : []),
    ...(options.stderr ? ["stderr"] : []),
    ...(options.tty && canResize ? ["resize"] : []),
  ];
  const connection = new SpdyConnection(socket, (stream) => {
    streams.set((stream.headers["streamtype"] ?? "").toLowerCase(), stream);
    if (expected.every((type) => streams.has(type))) arrived.resolve();
  });
  const timer = setTimeout(
    () => arrived.reject(new Error("timed out waiting for client to create streams")),
    streamCreation_ms,
  );
  void connection.closed.then(() => arrived.reject(new Error("the client has gone")));
  try {
    await arrived.promise;
  } catch (error) {
    connection.close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  const errors = streams.get("error");
  const stdin = options.stdin ? streams.get("stdin") : undefined;
  if (protocol === "channel.k8s.io") stdin?.end();
  return {
    stdin,
    stdout: options.stdout ? streams.get("stdout") : undefined,
    stderr: options.stderr ? streams.get("stderr") : undefined,
    onResize(handler) {
      streams.get("resize")?.on("data", (data: Buffer) => applyResize(data, handler));
    },
    async finish(outcome: Outcome) {
      const text = protocol === "v4.channel.k8s.io" ? JSON.stringify(outcomeStatus(outcome)) : outcomeText(outcome);
      if (text !== undefined) errors?.write(text);
      // The ends go out in order behind the data, then the connection.
      for (const stream of streams.values()) stream.end();
      connection.close();
      await connection.closed;
    },
    gone: connection.closed,
  };
}
