import { expect, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import type { ExecSession } from "#agent/runtime/runtime.ts";
import { SpdyConnection, type SpdyStream } from "#agent/spdy/connection.ts";
import type { MessageSocket } from "./message-socket.ts";
import { bridge } from "./remote-command.ts";
import { spdyClient } from "./remote-spdy.ts";
import { webSocketClient } from "./remote-websocket.ts";

// More in all than a connection holds that nobody reads, in pieces of which streams take several.
const chunk = Buffer.alloc(5_000, "x");
const chunks = 3_001;
const asked = { stdin: false, stdout: true, stderr: false, tty: false };
const succeeded = JSON.stringify({ metadata: {}, status: "Success" });

/** A process that says much, and has ended before anybody reads. */
function talker(): ExecSession {
  const stdout = new PassThrough({ highWaterMark: chunks * chunk.length });
  for (let index = 0; index < chunks; index += 1) stdout.write(chunk);
  stdout.end();
  return {
    stdin: undefined,
    stdout,
    stderr: undefined,
    exited: Promise.resolve(0),
    resize: async () => undefined,
    close: () => undefined,
  };
}

test("a WebSocket client that reads slowly has all that the process said before it hears how that ended", async () => {
  const sent: Buffer[] = [];
  const over = Promise.withResolvers<void>();
  const socket: MessageSocket = {
    protocol: "v5.channel.k8s.io",
    closed: over.promise,
    send(message, done = () => undefined) {
      sent.push(Buffer.from(message as Buffer));
      setImmediate(done);
    },
    onMessage: () => undefined,
    close: () => over.resolve(),
  };
  await bridge(webSocketClient(socket, asked), async () => talker());
  const last = sent.pop();
  expect(sent.every((message) => message[0] === 1)).toBe(true);
  // The first, empty one tells that the session stands; no other is empty.
  expect(sent.filter(({ length }) => length === 1)).toHaveLength(1);
  expect(Buffer.concat(sent.map((message) => message.subarray(1))).length).toBe(chunks * chunk.length);
  expect([last?.[0], last?.subarray(1).toString()]).toEqual([3, succeeded]);
});

test("a SPDY client that reads slowly has all that the process said when the connection ends", async () => {
  const [near, far] = await connected();
  const client = new SpdyConnection(near, "client");
  const streams = ["error", "stdout"].map((streamtype) => client.open({ streamtype }));
  const said = Promise.all(streams.map(whole));
  const served = await spdyClient(far, "v4.channel.k8s.io", asked);
  await bridge(served, async () => talker());
  const [error, stdout] = await said;
  expect([error?.toString(), stdout?.length]).toEqual([succeeded, chunks * chunk.length]);
});

async function whole(stream: SpdyStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  stream.on("data", (part: Buffer) => {
    parts.push(part);
    stream.pause();
    setTimeout(() => stream.resume(), 1);
  });
  await new Promise((resolve) => stream.once("close", resolve));
  return Buffer.concat(parts);
}

async function connected(): Promise<[Socket, Socket]> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const arrived = once(server, "connection");
  const near = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [far] = await arrived;
  server.close();
  return [near, far as Socket];
}
