import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { silentLog } from "#shared/client/log.ts";
import { IngressServer } from "./ingress-server.ts";

const step_bytes = 256 << 10;
/** More than the kernel holds for two connections on their way. */
const most_bytes = 10 << 20;
const headEnd = "\r\n\r\n";

let pod: Server;
let ingress: IngressServer;

beforeAll(async () => {
  // Changes the protocol, says as many bytes as its path asks for, and goes.
  pod = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (request) => {
      const size_bytes = Number(/^GET \/(\d+)/.exec(String(request))?.[1]);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: bytes${headEnd}`);
      socket.end(Buffer.alloc(size_bytes, "x"));
    });
  });
  pod.listen(0, "127.0.0.1");
  await once(pod, "listening");
  const { port } = pod.address() as AddressInfo;
  ingress = new IngressServer({
    httpPort: 0,
    httpsPort: 0,
    idle_ms: 60_000,
    log: silentLog,
    backendFor: () => ({ endpoints: [{ ip: "127.0.0.1", port }], protocol: "http1" }),
    contextFor: async () => undefined,
  });
  await ingress.listen();
});
afterAll(async () => {
  await ingress.close();
  pod.close();
});

async function askAndReadLate(size_bytes: number): Promise<number> {
  // It keeps its own side open: the ingress has to end it.
  const client = connect({ host: "127.0.0.1", port: ingress.httpPort ?? 0, allowHalfOpen: true });
  await once(client, "connect");
  client.pause();
  client.write(`GET /${size_bytes} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: bytes${headEnd}`);
  // Time for the pod to say all and close, where all finds room on its way; nothing is lost if that takes longer.
  await Bun.sleep(100);
  let head = "";
  let received_bytes = 0;
  client.on("data", (chunk) => {
    received_bytes += chunk.length;
    if (!head.includes(headEnd)) head += String(chunk);
  });
  client.resume();
  await once(client, "end");
  client.destroy();
  return received_bytes - head.indexOf(headEnd) - headEnd.length;
}

test("of a pod that says much and goes, a client that reads late gets all", async () => {
  // Where the room on the way ends is the kernel's affair: one of these answers ends in the ingress itself.
  for (let size_bytes = step_bytes; size_bytes <= most_bytes; size_bytes += step_bytes)
    expect(await askAndReadLate(size_bytes)).toBe(size_bytes);
}, 300_000);
