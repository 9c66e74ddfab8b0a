/** What comes byte by byte must take memory by its length, not by the number of its pieces, each of which would be an object. */
import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { PassThrough, Readable } from "node:stream";
import { Http2Request } from "#shared/http2/request.ts";
import { SpdyConnection } from "../../agent/spdy/connection.ts";
import { ArrivingBody } from "../../master/apiserver/http/request-body.ts";

const PIECES = 60_000;
const MANY = 10_000;
const byte = (): Buffer => Buffer.allocUnsafeSlow(4).fill("a").subarray(0, 1);
const head = { method: "POST", url: "/", headers: {}, rawHeaders: [], contentLength: undefined };
const port = { push: () => undefined, pushHeaders: () => undefined, unread: () => undefined } as never;

function arrays(): number {
  Bun.gc(true);
  return heapStats().objectTypeCounts["Uint8Array"] ?? 0;
}

test("a body of HTTP/2 that nobody reads yet", async () => {
  const before = arrays();
  const request = new Http2Request(1, port, head, false);
  for (let index = 0; index < PIECES; index += 1) request.receive(byte(), 1, false);
  expect(arrays() - before).toBeLessThan(MANY);
  request.end();
  expect(request.takeWhole()).toHaveLength(PIECES);
});

test("a body that is read", async () => {
  const body = new Readable({ read: () => undefined });
  const source = new ArrivingBody({ ...head, hasBody: true, body }, () => undefined);
  const before = arrays();
  const whole = source.read();
  for (let index = 0; index < PIECES; index += 1) {
    body.push(byte());
    if (index % 100 === 0) await Bun.sleep(0);
  }
  await Bun.sleep(0);
  expect(arrays() - before).toBeLessThan(MANY);
  body.push(null);
  const taken = await whole;
  expect(taken.kind === "bytes" && taken.bytes.length).toBe(PIECES);
});

test("a long frame of SPDY is not copied anew with each byte of it", async () => {
  const length = 1 << 20;
  const socket = new PassThrough();
  const answered = Promise.withResolvers<Buffer>();
  socket.write = (bytes: unknown) => {
    answered.resolve(bytes as Buffer);
    return true;
  };
  const connection = new SpdyConnection(socket, () => undefined);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(1, 0);
  head.writeUInt32BE(length, 4);
  socket.emit("data", head);
  const piece = Buffer.from("a");
  for (let index = 0; index < length; index += 1) socket.emit("data", piece);
  // Data of a stream that nobody opened is answered by its reset.
  expect((await answered.promise).readUInt16BE(2)).toBe(3);
  connection.close();
});
