import { describe, expect, test } from "bun:test";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { encodeFrame, frameType } from "./frames.ts";
import { Tunnel, type TunnelTarget } from "./tunnel.ts";

/** Two ends of a tunnel over a real TCP connection. */
async function pair(
  onStream: (target: TunnelTarget, stream: Duplex) => void,
): Promise<{ opener: Tunnel; acceptor: Tunnel }> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const accepted = new Promise<Socket>((done) => server.once("connection", done));
  const opener = new Tunnel(connect((server.address() as AddressInfo).port, "127.0.0.1"));
  const acceptor = new Tunnel(await accepted, { onStream });
  server.close();
  return { opener, acceptor };
}

const echo = (_: TunnelTarget, stream: Duplex): void => void stream.pipe(stream);

async function read(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe("a tunnel", () => {
  test("carries many streams at once, each whole and in order, with half-close", async () => {
    const { opener } = await pair(echo);
    const answers = Array.from({ length: 20 }, async (_, index) => {
      const stream = opener.open({ kind: "kubelet" });
      const sent = Buffer.alloc(700_000, index);
      stream.end(sent);
      return (await read(stream)).equals(sent);
    });
    expect(await Promise.all(answers)).toEqual(Array(20).fill(true));
    opener.close();
  });

  test("tells the accepting side the target", async () => {
    const asked = Promise.withResolvers<TunnelTarget>();
    const { opener } = await pair((target, stream) => {
      asked.resolve(target);
      stream.end();
    });
    opener.open({ kind: "tcp", host: "10.42.1.5", port: 80 });
    expect(await asked.promise).toEqual({ kind: "tcp", host: "10.42.1.5", port: 80 });
    opener.close();
  });

  test("does not take in more than its window for a reader that rests", async () => {
    const arrived = Promise.withResolvers<Duplex>();
    const { opener } = await pair((_, stream) => arrived.resolve(stream));
    const stream = opener.open({ kind: "kubelet" });
    let taken = 0;
    const total = 4_000_000;
    const writing = (async () => {
      for (let sent = 0; sent < total; sent += 50_000) {
        await new Promise<void>((done) => stream.write(Buffer.alloc(50_000), () => done()));
        taken += 50_000;
      }
      stream.end();
    })();
    const reader = await arrived.promise;
    await Bun.sleep(200);
    expect(taken).toBeLessThanOrEqual(600_000);
    expect((await read(reader)).length).toBe(total);
    await writing;
    opener.close();
  });

  test("of very many readers that rest, those go that have rested for longest; who reads does not", async () => {
    const { opener } = await pair((_, stream) => {
      stream.on("error", () => undefined);
      const more = (): void => {
        while (!stream.destroyed && stream.write(Buffer.alloc(65_536)));
      };
      stream.on("drain", more);
      more();
    });
    let read_bytes = 0;
    const reader = opener.open({ kind: "kubelet" });
    reader.on("data", (chunk: Buffer) => {
      read_bytes += chunk.length;
    });
    const resting = Array.from({ length: 200 }, () => opener.open({ kind: "kubelet" }));
    const held = (): number => resting.reduce((sum, each) => sum + (each.destroyed ? 0 : each.readableLength), 0);
    const ended = (): Duplex[] => resting.filter(({ destroyed }) => destroyed);
    // What 200 may hold is 50 MiB.
    while (ended().length < 60) {
      expect(held()).toBeLessThan(33 * 1024 * 1024);
      await Bun.sleep(10);
    }
    expect(ended()[0]?.errored?.message).toBe("too much waits for readers that are slow");
    const before = read_bytes;
    while (read_bytes < before + 10_000_000) await Bun.sleep(10);
    expect(reader.destroyed).toBe(false);
    opener.close();
  });

  test("an end with an error reaches the other side with its reason", async () => {
    const { opener } = await pair((_, stream) => stream.destroy(new Error("connection refused by the pod")));
    const stream = opener.open({ kind: "kubelet" });
    await expect(read(stream)).rejects.toThrow("connection refused by the pod");
    opener.close();
  });

  test("the end of the connection ends all streams and both sides", async () => {
    const { opener, acceptor } = await pair(echo);
    const stream = opener.open({ kind: "kubelet" });
    acceptor.close();
    await expect(read(stream)).rejects.toThrow();
    await opener.closed;
    expect(() => opener.open({ kind: "kubelet" })).toThrow("closed");
  });

  test.each([
    ["garbage", [Buffer.alloc(64, 0xff)]],
    ["more data than there was credit for", Array(20).fill(encodeFrame(frameType.data, 1, Buffer.alloc(65_000)))],
    ["a stream from the side that may open none", [encodeFrame(frameType.open, 7, Buffer.from('{"kind":"kubelet"}'))]],
  ])("%s on the wire ends it", async (_, frames) => {
    const server = createServer((socket) => {
      for (const frame of frames) socket.write(frame);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const tunnel = new Tunnel(connect((server.address() as AddressInfo).port, "127.0.0.1"));
    const stream = tunnel.open({ kind: "kubelet" });
    await tunnel.closed;
    expect(stream.destroyed).toBe(true);
    server.close();
  });
});
