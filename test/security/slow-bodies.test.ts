/** Clients that send large bodies and then rest: what has come of all of them is bounded, and others are served. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { connect, type TLSSocket } from "node:tls";
import { configMaps } from "#shared/api/resources.ts";
import { cacheBounds } from "#shared/process/cache-bounds.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

const ANNOUNCED_BYTES = 3 * 1024 * 1024;
const SENT_BYTES = 2 * 1024 * 1024;
const TOO_MANY = 6;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

async function resting(): Promise<{ socket: TLSSocket; answer: Promise<string> }> {
  const { certificatePem: cert, keyPem: key } = await server.issue("kubernetes-admin", ["system:masters"]);
  const { hostname: host, port } = new URL(server.url);
  const socket = connect({ host, port: Number(port), ca: server.authority.certificatePem, cert, key });
  await once(socket, "secureConnect");
  socket.on("error", () => socket.destroy());
  const answer = new Promise<string>((resolve) => socket.once("data", (bytes: Buffer) => resolve(bytes.toString())));
  socket.write("POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n");
  socket.write(`Content-Length: ${ANNOUNCED_BYTES}\r\n\r\n`);
  socket.write(Buffer.alloc(SENT_BYTES, " "));
  return { socket, answer };
}

test("those that rest for longest are asked to come again, and who sends all is served", async () => {
  const fitting = Math.floor(cacheBounds().bodies_bytes / SENT_BYTES);
  const all: Awaited<ReturnType<typeof resting>>[] = [];
  const refusals: string[] = [];
  const enough = Promise.withResolvers<void>();
  for (let index = 0; index < fitting + TOO_MANY; index += 1) {
    const one = await resting();
    all.push(one);
    void one.answer.then((text) => {
      refusals.push(text);
      if (refusals.length === TOO_MANY) enough.resolve();
    });
  }
  await enough.promise;
  for (const text of refusals) {
    expect(text).toStartWith("HTTP/1.1 429 ");
    expect(text).toMatch(/^retry-after: 1$/im);
    expect(text).toContain("Too many requests, please try again later.");
  }
  await server.client.create(configMaps, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: "default", name: "large" },
    data: { a: "x".repeat(900_000) },
  });
  const whole = await server.fetch("/api/v1/namespaces/default/configmaps", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ metadata: { name: "sent" }, data: { a: "x".repeat(900_000) } }),
  });
  expect(whole.status).toBe(201);
  for (const { socket } of all) socket.destroy();
});
