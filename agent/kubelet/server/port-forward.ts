import { Duplex, PassThrough } from "node:stream";
import { SpdyConnection, type SpdyStream } from "#agent/spdy/connection.ts";
import { type MessageSocket, written } from "./message-socket.ts";

/** Connects to a port inside the pod. */
export type Dial = (port: number) => Promise<Duplex>;

export const portForwardProtocol = "portforward.k8s.io";
/** SPDY frames inside a WebSocket: what kubectl speaks today (KEP-4006). */
export const tunneledSpdyProtocol = "SPDY/3.1+portforward.k8s.io";
export const portForwardSubprotocols = [tunneledSpdyProtocol, "v4.channel.k8s.io", "v4.base64.channel.k8s.io"] as const;

const pairing_ms = 30_000;

interface Pair {
  data?: SpdyStream;
  error?: SpdyStream;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** Port-forward over SPDY: for each connection the client opens a pair of streams, `error` and `data`. */
export async function serveSpdyPortForward(
  socket: Duplex,
  dial: Dial,
  describe: (port: number) => string,
): Promise<void> {
  const pairs = new Map<string, Pair>();
  const connection = new SpdyConnection(socket, (stream) => {
    const port = Number(stream.headers["port"]);
    const type = stream.headers["streamtype"];
    if (!Number.isInteger(port) || port < 1 || port > 65_535 || (type !== "data" && type !== "error")) {
      stream.destroy();
      return;
    }
    // Old clients give no request id; their pairs are neighbours, the error stream first.
    const id = stream.headers["requestid"] ?? String(type === "error" ? stream.id : stream.id - 2);
    const pair = pairs.get(id) ?? { timer: setTimeout(() => abandon(pairs, id), pairing_ms) };
    pairs.set(id, pair);
    if (pair[type]) {
      stream.destroy();
      return;
    }
    pair[type] = stream;
    if (!pair.data || !pair.error) return;
    clearTimeout(pair.timer);
    pairs.delete(id);
    void forward(pair.data, pair.error, port, dial, describe);
  });
  await connection.closed;
  for (const id of [...pairs.keys()]) abandon(pairs, id);
}

function abandon(pairs: Map<string, Pair>, id: string): void {
  const pair = pairs.get(id);
  pairs.delete(id);
  if (!pair) return;
  clearTimeout(pair.timer);
  pair.data?.destroy();
  pair.error?.destroy();
}

async function forward(
  data: Duplex,
  error: Duplex,
  port: number,
  dial: Dial,
  describe: (port: number) => string,
): Promise<void> {
  // Nothing is read from it; its end must still arrive.
  error.resume();
  try {
    await join(data, await dial(port));
    error.end();
  } catch (cause) {
    error.end(`error forwarding port ${port} to ${describe(port)}: ${(cause as Error).message}`);
    data.end();
  }
}

/** Copies both ways until both ends are done; a half-close is passed on. */
function join(a: Duplex, b: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    let open = 2;
    const closed = (): void => {
      open--;
      if (open === 0) resolve();
    };
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      from.pipe(to);
      from.once("close", () => {
        // Where both have said all, what is left for a slow reader is still on its way; it closes by itself then.
        if (!from.readableEnded || !to.readableEnded) to.destroy();
        closed();
      });
    }
    b.once("error", reject);
    a.once("error", () => b.destroy());
  });
}

/** A WebSocket as a byte stream: SPDY frames ride in binary messages. */
export function webSocketBytes(socket: MessageSocket): Duplex {
  let onRead: (() => void)[] = [];
  const bytes = new Duplex({
    allowHalfOpen: false,
    read() {
      const waiting = onRead;
      onRead = [];
      for (const goOn of waiting) goOn();
    },
    write: (chunk: Buffer, _encoding, done) => socket.send(chunk, () => done()),
    final(done) {
      socket.close();
      done();
    },
    destroy(error, done) {
      socket.close();
      done(error);
    },
  });
  bytes.on("error", () => undefined);
  socket.onMessage((message) => {
    if (bytes.push(Buffer.from(message as Buffer))) return undefined;
    return new Promise((resolve) => void onRead.push(resolve));
  });
  void socket.closed.then(() => bytes.push(null));
  return bytes;
}

/**
 * Port-forward over plain WebSocket channels: two for each port of the query, data and error, numbered in order. Each
 * begins with the port in two bytes, little-endian.
 */
export async function serveWebSocketPortForward(
  socket: MessageSocket,
  ports: readonly number[],
  dial: Dial,
  describe: (port: number) => string,
): Promise<void> {
  const isBase64 = socket.protocol.includes("base64.");
  const send = (number: number, data: Uint8Array): Promise<void> =>
    new Promise((done) => {
      if (isBase64) socket.send(`${number}${Buffer.from(data).toString("base64")}`, done);
      else socket.send(Buffer.concat([Buffer.from([number]), data]), done);
    });
  const inputs = ports.map(() => new PassThrough());
  socket.onMessage((message) => {
    const text = message.toString();
    const number = isBase64 ? text.charCodeAt(0) - 48 : Number((message as Buffer)[0]);
    const data = isBase64 ? Buffer.from(text.slice(1), "base64") : Buffer.from(message as Buffer).subarray(1);
    const input = number % 2 === 0 ? inputs[number / 2] : undefined;
    return input && written(input, data);
  });
  void socket.closed.then(() => {
    for (const input of inputs) input.end();
  });
  await Promise.all(
    ports.map(async (port, index) => {
      const head = Buffer.alloc(2);
      head.writeUInt16LE(port);
      await send(2 * index, head);
      await send(2 * index + 1, head);
      try {
        const target = await dial(port);
        inputs[index]?.pipe(target);
        for await (const chunk of target) await send(2 * index, chunk as Buffer);
      } catch (error) {
        await send(
          2 * index + 1,
          Buffer.from(`error forwarding port ${port} to ${describe(port)}: ${(error as Error).message}`),
        );
      }
    }),
  );
  socket.close();
}
