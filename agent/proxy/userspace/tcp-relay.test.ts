import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePort } from "#shared/testing/free-port.ts";
import { TcpRelay } from "./tcp-relay.ts";

const step_bytes = 256 << 10;
/** More than the kernel holds for two connections on their way. */
const most_bytes = 10 << 20;

let server: Server;
let relay: TcpRelay;
let relayPort: number;

beforeAll(async () => {
  // Answers, once a client has said all, with as many bytes as it asked for.
  server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    let asked = "";
    socket.on("data", (chunk) => {
      asked += String(chunk);
    });
    socket.once("end", () => socket.end(Buffer.alloc(Number(asked))));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  relayPort = await freePort();
  const endpoints = () => [{ ip: "127.0.0.1", port, local: true }];
  relay = await TcpRelay.listen("127.0.0.1", relayPort, { endpoints, served: () => undefined });
});
afterAll(() => {
  relay.close();
  server.close();
});

async function askAndReadLate(size_bytes: number): Promise<number> {
  const client = connect({ host: "127.0.0.1", port: relayPort, allowHalfOpen: true });
  await once(client, "connect");
  client.pause();
  client.end(String(size_bytes));
  // Time for the endpoint to say all and close, where all finds room on its way; nothing is lost if that takes longer.
  await Bun.sleep(100);
  let received_bytes = 0;
  client.on("data", (chunk) => {
    received_bytes += chunk.length;
  });
  client.resume();
  await once(client, "close");
  return received_bytes;
}

test("a client that has said all gets the whole answer, however late it reads", async () => {
  // Where the room on the way ends is the kernel's affair: one of these answers ends in the relay itself.
  for (let size_bytes = step_bytes; size_bytes <= most_bytes; size_bytes += step_bytes)
    expect(await askAndReadLate(size_bytes)).toBe(size_bytes);
}, 300_000);
