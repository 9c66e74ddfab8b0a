/** Clients that keep the server waiting, take nothing, or are too many. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

const limits = { unproven: 8, handshakeWithin_ms: 1500, headersWithin_ms: 1500, idleFor_ms: 1500, stalledFor_ms: 1500 };
let server: TestServer;
/** Has the usual patience: nothing ends there but what is one too many. */
let patient: TestServer;

beforeAll(async () => {
  server = await startTestServer({ limits });
  patient = await startTestServer({ limits: { unproven: limits.unproven } });
});
afterAll(() => Promise.all([server.stop(), patient.stop()]));

const portOf = ({ url }: TestServer): number => Number(new URL(url).port);

async function tls(as: "admin" | "anonymous" = "admin", to = server): Promise<Socket> {
  const ca = to.authority.certificatePem;
  const { certificatePem: cert, keyPem: key } = await to.issue("kubernetes-admin", ["system:masters"]);
  const socket = connectTls({ host: "127.0.0.1", port: portOf(to), ca, ...(as === "admin" && { cert, key }) });
  socket.on("error", () => socket.destroy());
  await once(socket, "secureConnect");
  return socket;
}

async function tcp(): Promise<Socket> {
  const socket = connectTcp(portOf(server), "127.0.0.1");
  socket.on("error", () => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** However the server ends it: what is still written to a connection that it has closed is answered by a reset. */
const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once("close", () => resolve()));

/** Writes another bit until the server has had enough. */
async function trickle(socket: Socket, bit: string): Promise<void> {
  const timer = setInterval(() => socket.write(bit), 100);
  socket.resume();
  await closed(socket);
  clearInterval(timer);
}

const answered = async (socket: Socket, request: string): Promise<string> => {
  socket.write(request);
  const [bytes] = await once(socket, "data");
  return String(bytes).split("\r\n", 1)[0] ?? "";
};

test("a handshake that is not begun, or not ended, is waited for so long only", async () => {
  const silent = await tcp();
  silent.resume();
  const begun = await tcp();
  begun.write(Buffer.from("1603010200010001fc0303", "hex"));
  begun.resume();
  await Promise.all([closed(silent), closed(begun)]);
});

test("headers that come bit by bit are not waited for, in a first request or a second", async () => {
  const first = await tls();
  first.write("GET /version HTTP/1.1\r\nHost: localhost\r\n");
  await trickle(first, "X-A: b\r\n");
  const second = await tls();
  expect(await answered(second, "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")).toBe("HTTP/1.1 200 OK");
  second.write("GET /version HTTP/1.1\r\nHost: localhost\r\n");
  await trickle(second, "X-A: b\r\n");
});

test("what came while the server was busy counts as come in time", async () => {
  const socket = await tls();
  const answer = answered(socket, "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n");
  Bun.sleepSync(2 * limits.headersWithin_ms);
  expect(await answer).toBe("HTTP/1.1 200 OK");
  socket.destroy();
});

test("who takes nothing of an answer is left", async () => {
  while (server.connectionCount() > 0) await Bun.sleep(50);
  const socket = await tls();
  socket.pause();
  // Several of them, as the kernel takes the first megabytes.
  socket.write("GET /openapi/v2 HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20));
  expect(server.connectionCount()).toBe(1);
  while (server.connectionCount() > 0) await Bun.sleep(50);
  socket.destroy();
});

test("large headers are taken, larger ones refused", async () => {
  const header = (length: number): string =>
    `GET /version HTTP/1.1\r\nHost: localhost\r\nX-A: ${"a".repeat(length)}\r\n\r\n`;
  expect(await answered(await tls(), header(100_000))).toBe("HTTP/1.1 200 OK");
  expect(await answered(await tls(), header(300_000))).toBe("HTTP/1.1 431 Request Header Fields Too Large");
});

test("who sends too large a body in pieces hears it", async () => {
  const socket = await tls();
  const piece = `10000\r\n${"a".repeat(0x10000)}\r\n`;
  const request = "POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: localhost\r\n";
  const answer = answered(socket, `${request}Transfer-Encoding: chunked\r\n\r\n`);
  socket.write(`${piece.repeat(60)}0\r\n\r\n`);
  expect(await answer).toBe("HTTP/1.1 413 Payload Too Large");
  socket.destroy();
});

test("a refused change of protocols leaves nothing, whatever its client sends after", async () => {
  while (server.connectionCount() > 0) await Bun.sleep(50);
  const request = "GET /none HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
  const leaver = await tls();
  expect(await answered(leaver, request)).toContain("404");
  leaver.write("x".repeat(300));
  leaver.end();
  while (server.connectionCount() > 0) await Bun.sleep(50);
});

test("the oldest of too many connections goes, if nobody authenticated by it", async () => {
  const known = await tls("admin", patient);
  await answered(known, "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const watch = await tls("admin", patient);
  await answered(watch, "GET /api/v1/namespaces?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const strange = await Promise.all(Array.from({ length: limits.unproven }, () => tls("anonymous", patient)));
  const closed = Promise.race(strange.map((socket) => once(socket.resume(), "close")));
  const more = await tls("anonymous", patient);
  await closed;
  expect(await answered(known, "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n")).toBe("HTTP/1.1 200 OK");
  expect(watch.destroyed).toBe(false);
  for (const socket of [known, watch, more, ...strange]) socket.destroy();
});

test("a watch lasts while nothing happens", async () => {
  const watch = await tls();
  await answered(watch, "GET /api/v1/configmaps?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const idle = await tls();
  await answered(idle, "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await once(idle.resume(), "close");
  expect(watch.destroyed).toBe(false);
  watch.destroy();
});

test("an audit ID that a client sends is the request's, however long, and one that it does not send is made", async () => {
  const idOf = async (headers: Record<string, string>): Promise<string | null> =>
    (await server.fetch("/version", { headers })).headers.get("audit-id");
  for (const id of ["mine", "x".repeat(100)]) expect(await idOf({ "audit-id": id })).toBe(id);
  expect(await idOf({})).toMatch(/^[\da-f-]{36}$/);
});
