import { expect, test } from "bun:test";
import { once } from "node:events";
import { Duplex, PassThrough } from "node:stream";
import { SpdyConnection } from "#agent/spdy/connection.ts";
import { serveSpdyPortForward } from "./port-forward.ts";

const piece_bytes = 1 << 10;
const step_bytes = 8 << 10;
/** More than streams hold on the way. */
const most_bytes = 512 << 10;

/** Two ends of one byte stream. */
function wire(): [Duplex, Duplex] {
  const [there, back] = [new PassThrough(), new PassThrough()];
  // Bun's types know only the pairs of the web here; Node takes both.
  const pair = (readable: PassThrough, writable: PassThrough) => Duplex.from({ readable, writable } as never);
  return [pair(back, there), pair(there, back)];
}

/** A connection to a pod that answers once its client has said all, and closes. */
function answering(answer: Buffer): Duplex {
  const connection: Duplex = new Duplex({
    allowHalfOpen: true,
    read: () => undefined,
    write: (_chunk, _encoding, done) => done(),
    final: (done) => {
      for (let start = 0; start < answer.length; start += piece_bytes)
        connection.push(answer.subarray(start, start + piece_bytes));
      connection.push(null);
      done();
    },
  });
  return connection;
}

async function askAndReadLate(size_bytes: number): Promise<number> {
  const [near, far] = wire();
  const pod = answering(Buffer.alloc(size_bytes));
  const serving = serveSpdyPortForward(
    far,
    async () => pod,
    (port) => `pod:${port}`,
  );
  const client = new SpdyConnection(near, "client");
  const error = client.open({ streamtype: "error", port: "80", requestid: "0" });
  const data = client.open({ streamtype: "data", port: "80", requestid: "0" });
  error.end();
  data.end("question");
  // Time for the pod to say all and close, where all finds room on its way; nothing is lost if that takes longer.
  await Bun.sleep(20);
  let received_bytes = 0;
  data.on("data", (chunk) => {
    received_bytes += chunk.length;
  });
  await once(data, "end");
  client.close();
  await serving;
  return received_bytes;
}

test("a client that has said all and reads late gets the whole answer of a pod that has closed by then", async () => {
  for (let size_bytes = step_bytes; size_bytes <= most_bytes; size_bytes += step_bytes)
    expect(await askAndReadLate(size_bytes)).toBe(size_bytes);
}, 300_000);
