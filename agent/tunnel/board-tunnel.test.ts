import { afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { silentLog } from "#shared/client/log.ts";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { encodeFrame, frameType } from "#shared/tunnel/frames.ts";
import { Tunnel, tunnelProtocol } from "#shared/tunnel/tunnel.ts";
import { BoardTunnel } from "./board-tunnel.ts";

let ca: KeyAndCertificate;
let serving: KeyAndCertificate;
beforeAll(async () => {
  ca = await createCertificateAuthority("bramble-ca");
  serving = await issueCertificate(ca, { commonName: "here", ipAddresses: ["127.0.0.1"] }, [
    extendedKeyUsages.serverAuth,
    extendedKeyUsages.clientAuth,
  ]);
});

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const switched = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${tunnelProtocol}\r\n\r\n`;

/** An API server that hands over each connection with the request for a tunnel. Gives its URL. */
async function apiServer(onRequest: (socket: TLSSocket) => void): Promise<string> {
  const server = createTlsServer({ key: serving.keyPem, cert: serving.certificatePem }, (socket) => {
    stops.push(() => socket.destroy());
    socket.on("error", () => undefined);
    socket.once("data", () => onRequest(socket));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  stops.push(() => server.close());
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A board whose kubelet sends back what it is sent. */
async function board(server: string): Promise<BoardTunnel> {
  const folder = mkdtempSync(join(tmpdir(), "board-tunnel-"));
  stops.push(() => rmSync(folder, { recursive: true }));
  const kubeletSocket = join(folder, "kubelet.sock");
  const kubelet: Server = createServer((socket) => void socket.pipe(socket));
  await new Promise<void>((done) => kubelet.listen(kubeletSocket, done));
  stops.push(() => kubelet.close());
  const credentials = () => ({ ca: ca.certificatePem, cert: serving.certificatePem, key: serving.keyPem });
  const tunnel = new BoardTunnel({ server, credentials, kubeletSocket, log: silentLog });
  stops.push(() => tunnel.stop());
  tunnel.start();
  return tunnel;
}

/** What the kubelet sends back. */
async function echoed(stream: Duplex, text: string): Promise<string> {
  stream.end(text);
  let back = "";
  for await (const chunk of stream) back += String(chunk);
  return back;
}

test("streams that the server opens right behind its answer arrive", async () => {
  const opened = Promise.withResolvers<Promise<string>[]>();
  const server = await apiServer((socket) => {
    socket.write(switched);
    const tunnel = new Tunnel(socket);
    // In the same turn: a request has waited for this board.
    opened.resolve(["one", "two"].map((text) => echoed(tunnel.open({ kind: "kubelet" }), text)));
  });
  await board(server);
  expect(await Promise.all(await opened.promise)).toEqual(["one", "two"]);
});

test("an end does not wait for a server that says nothing", async () => {
  const asked = Promise.withResolvers<void>();
  const server = await apiServer(() => asked.resolve());
  const tunnel = await board(server);
  await asked.promise;
  await tunnel.stop();
});

test("a tunnel that the server grants as the board ends does not hold up the end", async () => {
  const asked = Promise.withResolvers<TLSSocket>();
  const server = await apiServer((socket) => asked.resolve(socket));
  const tunnel = await board(server);
  const socket = await asked.promise;
  const ended = tunnel.stop();
  socket.write(switched);
  await ended;
});

test("a server that is seen during a try that fails is asked again at once", async () => {
  const enough = Promise.withResolvers<void>();
  let asked = 0;
  const server = await apiServer((socket) => {
    tunnel.retryNow();
    if (++asked === 12) enough.resolve();
    // With a pause that doubles each time this would take a quarter of an hour.
    socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  });
  const tunnel = await board(server);
  await enough.promise;
});

test("a server that is seen while the tunnel stands is told something, which it passes over", async () => {
  const stands = Promise.withResolvers<{ socket: TLSSocket; tunnel: Tunnel }>();
  const server = await apiServer((socket) => {
    socket.write(switched);
    stands.resolve({ socket, tunnel: new Tunnel(socket) });
  });
  const here = await board(server);
  const { socket, tunnel } = await stands.promise;
  expect(await echoed(tunnel.open({ kind: "kubelet" }), "before")).toBe("before");
  const nothing = encodeFrame(frameType.credit, 0, Buffer.alloc(4));
  const told = new Promise<void>((resolve) =>
    socket.on("data", (chunk: Buffer) => chunk.includes(nothing) && resolve()),
  );
  here.retryNow();
  await told;
  expect(await echoed(tunnel.open({ kind: "kubelet" }), "after")).toBe("after");
});
