/** Clients of an Ingress that keep connections without asking anything, or as many as there are. */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { silentLog } from "#shared/client/log.ts";
import { IngressServer, type IngressServerOptions } from "../../agent/ingress/ingress-server.ts";

setDefaultTimeout(300_000);
const BYTE_EVERY_MS = 20;

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** In front of a pod that answers at once, but for `/silent`. */
async function ingressWith(options: Partial<IngressServerOptions>): Promise<IngressServer> {
  const pod: Server = createServer((request, response) => {
    if (request.url !== "/silent") response.end("hello");
  });
  await new Promise<void>((done) => pod.listen(0, "127.0.0.1", done));
  const { port } = pod.address() as AddressInfo;
  const ingress = new IngressServer({
    httpPort: 0,
    httpsPort: 0,
    idle_ms: 60_000,
    backendFor: () => ({ endpoints: [{ ip: "127.0.0.1", port }], protocol: "http1" }),
    contextFor: async () => undefined,
    log: silentLog,
    ...options,
  });
  await ingress.listen();
  stops.push(
    () => ingress.close(),
    () => pod.closeAllConnections(),
    () => pod.close(),
  );
  return ingress;
}

async function connected(port: number | undefined, localAddress = "127.0.0.1"): Promise<Socket> {
  const socket = connect({ port: port ?? 0, host: "127.0.0.1", localAddress });
  socket.on("error", () => undefined);
  stops.push(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function secured(port: number | undefined, protocol: string): Promise<TLSSocket> {
  const socket = connectTls({
    port: port ?? 0,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    ALPNProtocols: [protocol],
  });
  socket.on("error", () => undefined);
  stops.push(() => socket.destroy());
  await once(socket, "secureConnect");
  return socket;
}

/** Also where it is reset: `once` would reject for the error that comes first. */
const closing = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once("close", () => resolve()));

/** Writes a header that never ends, until it is closed. */
async function drip(socket: Socket): Promise<void> {
  const closed = closing(socket);
  socket.resume();
  socket.write("GET / HTTP/1.1\r\nHost: a.test\r\nX-Slow: ");
  const timer = setInterval(() => socket.write("x"), BYTE_EVERY_MS);
  await closed;
  clearInterval(timer);
}

/** The first bytes of an answer, or nothing where it is closed first. */
async function asked(socket: Socket, path: string): Promise<string> {
  const answer = Promise.race([once(socket, "data").then(([data]) => String(data)), closing(socket).then(() => "")]);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`);
  return answer;
}

for (const [name, open] of [
  ["HTTP", ({ httpPort }: IngressServer) => connected(httpPort)],
  ["HTTPS", ({ httpsPort }: IngressServer) => secured(httpsPort, "http/1.1")],
] as const) {
  test(`${name}: a head that comes byte by byte has its time, and so has the next one`, async () => {
    const first = await ingressWith({ limits: { headersWithin_ms: 500 } });
    await drip(await open(first));
    const next = await ingressWith({ limits: { idleFor_ms: 500 } });
    const socket = await open(next);
    expect(await asked(socket, "/")).toStartWith("HTTP/1.1 200");
    await drip(socket);
  });
}

test("of HTTP/2 a session without requests is closed, whatever else it sends", async () => {
  const ingress = await ingressWith({ limits: { idleFor_ms: 500 } });
  const socket = await secured(ingress.httpsPort, "h2");
  const session = connectHttp2("https://a.test", { createConnection: () => socket });
  session.on("error", () => undefined);
  const stream = session.request({ ":path": "/" });
  const [headers] = await once(stream, "response");
  expect(headers[":status"]).toBe(200);
  const closed = closing(socket);
  stream.resume().end();
  const timer = setInterval(() => !session.destroyed && session.ping(() => undefined), BYTE_EVERY_MS);
  await closed;
  clearInterval(timer);
});

test("where all connections are taken, the client that has most of them gives one up", async () => {
  const ingress = await ingressWith({ limits: { connections: 10 } });
  const greedy: Socket[] = [];
  for (let index = 0; index < 12; index += 1) {
    const socket = await connected(ingress.httpPort);
    socket.write("POST /silent HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n");
    greedy.push(socket);
  }
  expect(await asked(await connected(ingress.httpPort, "127.0.0.2"), "/")).toStartWith("HTTP/1.1 200");
});

test("more requests than are passed on at once are told so", async () => {
  const ingress = await ingressWith({ mostRequests: 2 });
  const held = [await connected(ingress.httpPort), await connected(ingress.httpPort)];
  for (const socket of held) {
    socket.write("GET /silent HTTP/1.1\r\nHost: a.test\r\n\r\n");
  }
  const socket = await connected(ingress.httpPort);
  let answer = "";
  while (!answer.startsWith("HTTP/1.1 503")) answer = await asked(socket, "/");
  for (const each of held) each.destroy();
  while (!answer.startsWith("HTTP/1.1 200")) answer = await asked(socket, "/");
});
