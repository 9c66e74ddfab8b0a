import { afterEach, expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import { hasReason } from "#shared/api/errors.ts";
import { silentLog } from "#shared/client/log.ts";
import { Tunnel } from "#shared/tunnel/tunnel.ts";
import { BoardDialer } from "./board-dialer.ts";

const kubelet = { kind: "kubelet" } as const;
const long_ms = 600_000;

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** A board that answers each stream with its own name, connected to the dialer by a real socket. */
async function join(dialer: BoardDialer, node: string): Promise<void> {
  const listener = createServer();
  await new Promise<void>((done) => listener.listen(0, "127.0.0.1", done));
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const accepted = new Promise<Socket>((done) => listener.once("connection", done));
  const board = connect(address.port, "127.0.0.1");
  const server = await accepted;
  const user = { name: `system:node:${node}`, groups: ["system:nodes"] };
  board.once("data", (chunk: Buffer) => {
    // Behind the server's answer to the upgrade the tunnel begins.
    const head = chunk.subarray(chunk.indexOf("\r\n\r\n") + 4);
    new Tunnel(board, { head, onStream: (_, stream) => stream.end(node) });
  });
  expect(dialer.accept(user, server, Buffer.alloc(0))).toBe(true);
  stops.push(() => {
    board.destroy();
    listener.close();
  });
}

const textOf = async (stream: AsyncIterable<unknown>): Promise<string> => {
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return text;
};

test("a board that is on its way is waited for", async () => {
  const dialer = new BoardDialer(silentLog, long_ms);
  const streams = [dialer.dial("one", kubelet), dialer.dial("one", kubelet)];
  const other = dialer.dial("two", kubelet);
  await join(dialer, "one");
  for (const stream of await Promise.all(streams)) expect(await textOf(stream)).toBe("one");
  await join(dialer, "two");
  expect(await textOf(await other)).toBe("two");
  expect(dialer.boards).toEqual(["one", "two"]);
});

test("a board that does not come is given up, with what to tell the caller", async () => {
  const refused = await new BoardDialer(silentLog, 20).dial("one", kubelet).catch((error: unknown) => error);
  expect(hasReason(refused, "ServiceUnavailable")).toBe(true);
  expect(String(refused)).toContain("node one is not connected to this API server");
});

test("a caller that goes waits no longer, nor does anybody when the server ends", async () => {
  const dialer = new BoardDialer(silentLog, long_ms);
  const gone = new AbortController();
  const abandoned = dialer.dial("one", kubelet, gone.signal).catch((error: unknown) => error);
  const ended = dialer.dial("one", kubelet).catch((error: unknown) => error);
  gone.abort(new Error("hung up"));
  expect(await abandoned).toEqual(new Error("hung up"));
  dialer.close();
  expect(hasReason(await ended, "ServiceUnavailable")).toBe(true);
});
