import { expect, test } from "bun:test";
import { Duplex, PassThrough } from "node:stream";
import { SpdyConnection, type SpdyStream } from "./connection.ts";

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
