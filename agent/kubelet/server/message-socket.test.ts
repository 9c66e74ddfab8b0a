import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { PassThrough, type Readable } from "node:stream";
import WebSocket from "ws";
import { acceptWebSocket, type MessageSocket } from "./message-socket.ts";
import { serveWebSocketPortForward, webSocketBytes } from "./port-forward.ts";
import { webSocketClient } from "./remote-websocket.ts";

setDefaultTimeout(300_000);
const MESSAGE_BYTES = 256 * 1024;
const MESSAGES = 256;
/** What both kernels' buffers hold may be some megabytes. */
const MOST_TAKEN_BYTES = (MESSAGES * MESSAGE_BYTES) / 2;
const QUIET_MS = 500;

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

interface Pair {
  readonly client: WebSocket;
  readonly socket: Socket;
  readonly server: MessageSocket;
}

async function connectedPair(): Promise<Pair> {
  const http = createServer();
  const accepted = Promise.withResolvers<Omit<Pair, "client">>();
  http.on("upgrade", (request, socket: Socket, head: Buffer) => {
    accepted.resolve({ socket, server: acceptWebSocket(request, socket, head, ["v4.channel.k8s.io"]) });
  });
  await new Promise<void>((done) => http.listen(0, "127.0.0.1", done));
  const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`, "v4.channel.k8s.io");
  client.on("error", () => undefined);
  stops.push(
    () => client.terminate(),
    () => http.closeAllConnections(),
    () => http.close(),
  );
  const taken = await accepted.promise;
  if (client.readyState !== WebSocket.OPEN) await once(client, "open");
  return { client, ...taken };
}

/** Sends much on channel 0, and resolves with how many bytes were read when no more were for a while. */
async function flood({ client, socket }: Pair): Promise<number> {
  const message = Buffer.alloc(MESSAGE_BYTES);
  for (let sent = 0; sent < MESSAGES; sent += 1) client.send(message);
  for (let before = -1; ; ) {
    await Bun.sleep(QUIET_MS);
    if (socket.bytesRead === before && before > 0) return before;
    before = socket.bytesRead;
  }
}

async function lengthOf(readable: Readable, wanted: number): Promise<number> {
  let length = 0;
  for await (const chunk of readable) {
    length += (chunk as Buffer).length;
    if (length >= wanted) break;
  }
  return length;
}

describe("a client is read no faster than what it sends is taken", () => {
  const options = { stdin: true, stdout: true, stderr: false, tty: false };

  test("input of a process", async () => {
    const pair = await connectedPair();
    const { stdin } = webSocketClient(pair.server, options);
    expect(await flood(pair)).toBeLessThan(MOST_TAKEN_BYTES);
    const all = MESSAGES * (MESSAGE_BYTES - 1);
    expect(await lengthOf(stdin as Readable, all)).toBe(all);
  });

  test("bytes of SPDY in it", async () => {
    const pair = await connectedPair();
    const bytes = webSocketBytes(pair.server);
    expect(await flood(pair)).toBeLessThan(MOST_TAKEN_BYTES);
    const all = MESSAGES * MESSAGE_BYTES;
    expect(await lengthOf(bytes, all)).toBe(all);
  });

  test("what goes to a port", async () => {
    const pair = await connectedPair();
    const target = new PassThrough();
    const dialled = Promise.withResolvers<PassThrough>();
    void serveWebSocketPortForward(pair.server, [80], () => dialled.promise, String);
    expect(await flood(pair)).toBeLessThan(MOST_TAKEN_BYTES);
    dialled.resolve(target);
    const all = MESSAGES * (MESSAGE_BYTES - 1);
    expect(await lengthOf(target, all)).toBe(all);
  });

  test("a process that ends without having read it all ends the connection", async () => {
    const pair = await connectedPair();
    const client = webSocketClient(pair.server, options);
    await flood(pair);
    const closed = once(pair.client, "close");
    await client.finish({ kind: "exited", exitCode: 0 });
    await closed;
  });
});
