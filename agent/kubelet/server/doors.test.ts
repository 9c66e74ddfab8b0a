import { afterAll, beforeAll, expect, test } from "bun:test";
import { PassThrough } from "node:stream";
import { connect } from "node:tls";
import type { Client } from "#shared/client/client.ts";
import { silentLog } from "#shared/client/log.ts";
import { createCertificateAuthority, extendedKeyUsages, issueCertificate } from "#shared/pki/certificate.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { openTlsDoor, type TlsDoor } from "./doors.ts";
import { KubeletServer, type ServedBoard } from "./kubelet-server.ts";

/** Subresources of nodes that the caller may get. */
let allowed: readonly string[] = [];
const reviewer = {
  raw: async ({ path, body }: { path: string; body: { spec: { resourceAttributes?: { subresource: string } } } }) => {
    if (path.endsWith("/tokenreviews")) return { status: { authenticated: true, user: { username: "scraper" } } };
    return { status: { allowed: allowed.includes(body.spec.resourceAttributes?.subresource ?? "") } };
  },
} as unknown as Client;

const board = {
  logFolder: "/nowhere",
  pods: () => [],
  metrics: async () => "# metrics\n",
  configuration: () => ({}),
  loggedContainer: () => "id",
  runningContainer: async () => "id",
  runtime: {
    logs: async () => {
      const log = new PassThrough();
      log.end("a secret in a log");
      return log;
    },
    exec: async () => Promise.reject(new Error("a command was run")),
  },
} as unknown as ServedBoard;

let door: TlsDoor;
let port: number;
let caller = 0;
beforeAll(async () => {
  const authority = await createCertificateAuthority("test");
  const serving = await issueCertificate(authority, { commonName: "a", dnsNames: ["a"] }, [
    extendedKeyUsages.serverAuth,
  ]);
  port = await freePort();
  const server = new KubeletServer(board, silentLog);
  door = await openTlsDoor(server, { ca: undefined, serving, host: "127.0.0.1", port, client: reviewer });
});
afterAll(() => door.stop());

/** As it is written: clients' libraries tidy a path up. */
function ask(target: string, headers = ""): Promise<string> {
  caller += 1;
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () =>
      socket.write(
        `GET ${target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer token-${caller}\r\n${headers || "Connection: close\r\n"}\r\n`,
      ),
    );
    socket.on("data", (bytes) => {
      answer += bytes;
      if (headers) socket.destroy();
    });
    socket.on("close", () => resolve(answer)).on("error", reject);
  });
}

const upgrade =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

test("who may read metrics reads them", async () => {
  allowed = ["metrics"];
  expect(await ask("/metrics")).toStartWith("HTTP/1.1 200");
  expect(await ask("/containerLogs/default/web/c")).toStartWith("HTTP/1.1 403");
});

test.each([
  "/metrics/..",
  "/metrics/%2e%2e",
  "/metrics/.%2E",
  "/metrics/x/../..",
  "/metrics\\..",
  "http://b/metrics/..",
])("a path that leads elsewhere by %s is judged by where it leads", async (before) => {
  allowed = ["metrics", "stats", "healthz"];
  for (const target of ["/containerLogs/default/web/c", "/pods", "/configz", "/images/load"]) {
    const answer = await ask(`${before}${target}`);
    expect(answer).toMatch(/^HTTP\/1.1 40[03]/);
    expect(answer).not.toContain("secret");
  }
  const answer = await ask(`${before}/exec/default/web/c?command=sh&output=1`, upgrade);
  expect(answer).toMatch(/^HTTP\/1.1 40[03]/);
});
