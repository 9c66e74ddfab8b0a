import { expect, test } from "bun:test";
import { Duplex, PassThrough } from "node:stream";
import { SpdyConnection, type SpdyStream } from "./connection.ts";
import { HeaderWriter } from "./header-block.ts";

/** Two ends of one byte stream. */
function wire(): [Duplex, Duplex] {
  const [there, back] = [new PassThrough(), new PassThrough()];
  // Bun's types know only the pairs of the web here; Node takes both.
  const pair = (readable: PassThrough, writable: PassThrough) => Duplex.from({ readable, writable } as never);
  return [pair(back, there), pair(there, back)];
}

async function text(stream: SpdyStream): Promise<string> {
  let all = "";
  // Not by iteration, which would end the other direction too.
  stream.on("data", (chunk) => {
    all += String(chunk);
  });
  await new Promise((resolve) => stream.once("end", resolve));
  return all;
}

test("streams that a client opens carry bytes both ways, and each side ends its own", async () => {
  const [near, far] = wire();
  const opened = Promise.withResolvers<SpdyStream>();
  new SpdyConnection(far, (stream) => opened.resolve(stream));
  const client = new SpdyConnection(near, "client");
  const stream = client.open({ streamtype: "stdin" });
  stream.end("to the server");
  const served = await opened.promise;
  expect(served.headers["streamtype"]).toBe("stdin");
  expect(await text(served)).toBe("to the server");
  served.end("and back");
  expect(await text(stream)).toBe("and back");
  client.close();
});

test("what was sent before a reset or the end of the connection is read", async () => {
  const [near, far] = wire();
  const streams: SpdyStream[] = [];
  const both = Promise.withResolvers<void>();
  const server = new SpdyConnection(far, (stream) => {
    streams.push(stream);
    if (streams.length === 2) both.resolve();
  });
  const client = new SpdyConnection(near, "client");
  const [reset, cut] = [client.open({ streamtype: "error" }), client.open({ streamtype: "stdout" })];
  await both.promise;
  streams[0]?.write("status");
  streams[0]?.destroy();
  streams[1]?.write("output");
  // Both arrive before anybody reads.
  await new Promise((resolve) => setTimeout(resolve, 20));
  server.close();
  await client.closed;
  expect([await text(reset), await text(cut)]).toEqual(["status", "output"]);
});

/** The server's end of a byte stream, that brings as many chunks as are taken and counts what is answered. */
class Flood extends Duplex {
  taken = 0;
  answers = 0;

  constructor(
    readonly chunks: number,
    readonly chunk: () => Buffer,
    readonly isDeaf: boolean,
  ) {
    super();
  }

  override _read(): void {
    setImmediate(() => {
      this.taken += 1;
      this.push(this.taken > this.chunks ? null : this.chunk());
    });
  }

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.answers += 1;
    if (!this.isDeaf) done();
  }
}

const frameOf = (type: number, payload: Buffer): Buffer => {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(0x8003, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt32BE(payload.length, 4);
  return Buffer.concat([head, payload]);
};
const ping = frameOf(6, Buffer.from([0, 0, 0, 1]));

test("of who reads no answers no more pings are read", async () => {
  const pings = Buffer.concat(Array.from({ length: 1_000 }, () => ping));
  const flood = new Flood(1_000, () => pings, true);
  new SpdyConnection(flood, () => undefined);
  for (let before = -1; before !== flood.taken || before <= 0; ) {
    before = flood.taken;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(flood.taken).toBeLessThan(100);
  flood.destroy();
});

test("frames that wait for header blocks before them are no more than some", async () => {
  const writer = new HeaderWriter();
  const value = "x".repeat(8_000);
  const frames = (): Buffer => {
    const each = Array.from({ length: 8 }, () => frameOf(8, Buffer.concat([Buffer.alloc(4), writer.write({ value })])));
    return Buffer.concat([...each, ping]);
  };
  const flood = new Flood(500, frames, false);
  let ahead = 0;
  const look = setInterval(() => {
    ahead = Math.max(ahead, flood.taken - flood.answers);
  }, 0);
  const connection = new SpdyConnection(flood, () => undefined);
  await connection.closed;
  clearInterval(look);
  expect(flood.answers).toBeGreaterThan(400);
  expect(ahead).toBeLessThan(20);
});

test("frames that wait for a header block are taken before the end that came behind them", async () => {
  const socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const stream = new SpdyConnection(socket, "client").open({ streamtype: "stdout" });
  const said = text(stream);
  const id = Buffer.from([0, 0, 0, stream.id]);
  const block = new HeaderWriter().write({ some: "header" });
  const data = Buffer.from("the last of it");
  const reply = [Buffer.from([0x80, 3, 0, 2, 0, 0, 0, id.length + block.length]), id, block];
  socket.push(Buffer.concat([...reply, id, Buffer.from([0, 0, 0, data.length]), data]));
  socket.push(null);
  expect(await said).toBe("the last of it");
});
