/** Clients that ask for much by many connections and read nothing of it: what waits for them is bounded for all together. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { configMaps } from "#shared/api/resources.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

setDefaultTimeout(300_000);
const LARGE_BYTES = 900_000;
const CONNECTIONS = 100;
const path = "/api/v1/namespaces/default/configmaps/large";

let server: TestServer;
const sessions: ClientHttp2Session[] = [];
beforeAll(async () => {
  // Who reads nothing for this long would be left in any case.
  server = await startTestServer({ limits: { stalledFor_ms: 3_600_000 } });
  const metadata = { namespace: "default", name: "large" };
  await server.client.create(configMaps, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata,
    data: { a: "x".repeat(LARGE_BYTES) },
  });
});
afterAll(async () => {
  for (const session of sessions) session.destroy();
  await server.stop();
});

async function session(): Promise<ClientHttp2Session> {
  const { certificatePem: cert, keyPem: key } = await server.issue("kubernetes-admin", ["system:masters"]);
  const opened = connect(server.url, { ca: server.authority.certificatePem, cert, key });
  opened.on("error", () => undefined);
  sessions.push(opened);
  await once(opened, "connect");
  return opened;
}

test("those go that have waited for longest, and who reads gets its answer", async () => {
  let over = 0;
  const firstOver = Promise.withResolvers<void>();
  for (let connection = 0; connection < CONNECTIONS; connection += 1) {
    const stream: ClientHttp2Stream = (await session()).request({ ":path": path });
    stream.on("error", () => undefined);
    stream.on("close", () => {
      over += 1;
      firstOver.resolve();
    });
    stream.pause();
  }
  await firstOver.promise;
  const reader = (await session()).request({ ":path": path });
  let length = 0;
  for await (const chunk of reader) length += (chunk as Buffer).length;
  expect(length).toBeGreaterThan(LARGE_BYTES);
  expect(over).toBeLessThan(CONNECTIONS);
});
