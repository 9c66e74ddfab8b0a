import { afterAll, beforeAll, expect, test } from "bun:test";
import { PassThrough } from "node:stream";
import { connect } from "node:tls";
import type { Client } from "#shared/client/client.ts";
import { silentLog } from "#shared/client/log.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { openTlsDoor, type TlsDoor } from "./doors.ts";
import { KubeletServer, type ServedBoard } from "./kubelet-server.ts";

/** Subresources of nodes that the caller may get. */
let allowed: readonly string[] = [];
let user = "scraper";
/** What the API server was asked last. */
let reviewed: Readonly<Record<string, string>> | undefined;
const reviewer = {
  raw: async ({ path, body }: { path: string; body: { spec: { resourceAttributes?: Record<string, string> } } }) => {
    if (path.endsWith("/tokenreviews")) return { status: { authenticated: true, user: { username: user } } };
    reviewed = body.spec.resourceAttributes;
    return { status: { allowed: allowed.includes(reviewed?.["subresource"] ?? "") } };
  },
} as unknown as Client;

let hasDebuggingHandlers = true;
let streamIdle_ms = 0;
const board = {
  logFolder: "/nowhere",
  pods: () => [],
  runningPods: async () => [],
  run: async (pod: object, container: string, command: readonly string[]) =>
    Buffer.from(JSON.stringify([pod, container, command])),
  checkpoint: async () => "/folder/archive.tar",
  metrics: async () => "# metrics\n",
  configuration: () => ({}),
  loggedContainer: () => "id",
  runningContainer: async () => "id",
  sandboxId: async () => "sandbox",
  get tuning() {
    return { hasDebuggingHandlers, hasSystemLogs: true, streamIdle_ms };
  },
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
  door = await openTlsDoor(server, {
    ca: undefined,
    serving,
    host: "127.0.0.1",
    port,
    client: reviewer,
    nodeName: "board",
  });
});
afterAll(() => door.stop());

/** As it is written: clients' libraries tidy a path up. */
function ask(target: string, headers = "", method = "GET"): Promise<string> {
  caller += 1;
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () =>
      socket.write(
        `${method} ${target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer token-${caller}\r\n${headers || "Connection: close\r\n"}\r\n`,
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

/** Status and body of an answer, which comes in one chunk. */
async function answered(target: string, method = "GET"): Promise<[string | undefined, string | undefined]> {
  const [head = "", ...rest] = (await ask(target, "", method)).split("\r\n\r\n");
  return [/^HTTP\/1.1 (\d+)/.exec(head)?.[1], rest.join("\r\n\r\n").split("\r\n")[1]];
}

test("a right to one board's API is asked for with the board's name, and the narrower right first", async () => {
  allowed = ["pods"];
  user = "reader";
  expect((await answered("/pods/"))[0]).toBe("200");
  expect(reviewed).toEqual({ verb: "get", version: "v1", resource: "nodes", subresource: "pods", name: "board" });
  expect((await answered("/runningpods/"))[0]).toBe("200");
  expect(await answered("/podsandmore")).toEqual([
    "403",
    "Forbidden (user=reader, verb=get, resource=nodes, subresource(s)=[proxy])\n",
  ]);
  allowed = ["checkpoint"];
  expect(await answered("/checkpoint/default/web/c", "POST")).toEqual(["200", '{"items":["/folder/archive.tar"]}']);
  expect(reviewed?.["verb"]).toBe("create");
});

test("what a path does not take is told from what there is not", async () => {
  allowed = ["proxy", "pods", "log"];
  user = "other";
  expect(await answered("/pods", "POST")).toEqual(["405", "405: Method Not Allowed"]);
  expect(await ask("/pods", "", "POST")).toMatch(/\r\nallow: GET\r\n/i);
  expect((await answered("/run/default/web/c"))[0]).toBe("405");
  expect(await answered("/containerLogs/default/web")).toEqual(["404", "404: Page Not Found"]);
  expect(await answered("/nothing")).toEqual(["404", "404 page not found\n"]);
  expect(await answered("/exec/default/web/c?output=1")).toEqual(["400", "Upgrade request required"]);
});

test("a command runs to its end in a pod, or in no other than the one of a UID", async () => {
  allowed = ["proxy"];
  user = "operator";
  const run = async (path: string): Promise<unknown> => JSON.parse((await answered(path, "POST"))[1] ?? "");
  const pod = { namespace: "default", name: "web" };
  expect(await run("/run/default/web/c?cmd=ls%20-l")).toEqual([pod, "c", ["ls", "-l"]]);
  expect(await run("/run/default/web/u-1/c?cmd=ls")).toEqual([{ ...pod, uid: "u-1" }, "c", ["ls"]]);
});

test("a command may be as long as the API server takes it", async () => {
  allowed = ["proxy"];
  user = "operator";
  const long = "a".repeat(100_000);
  expect(await ask(`/run/default/web/c?cmd=${long}`, "", "POST")).toContain(JSON.stringify([long]));
  expect(await ask(`/exec/default/web/c?command=${long}&output=1`, upgrade)).toStartWith("HTTP/1.1 101");
});

test("what looks into pods is shut where that is switched off, and the rest stays open", async () => {
  allowed = ["proxy", "pods", "log", "metrics"];
  user = "stranger";
  hasDebuggingHandlers = false;
  try {
    const shut: [string, string] = ["405", "Debug endpoints are disabled.\n"];
    expect(await answered("/containerLogs/default/web/c")).toEqual(shut);
    expect(await answered("/run/default/web/c?cmd=ls", "POST")).toEqual(shut);
    expect(await ask("/exec/default/web/c?command=sh&output=1", upgrade)).toStartWith("HTTP/1.1 405");
    expect((await answered("/pods"))[0]).toBe("200");
  } finally {
    hasDebuggingHandlers = true;
  }
});

test("a stream on which nothing comes or goes ends after the time that is set", async () => {
  allowed = ["proxy"];
  user = "idler";
  streamIdle_ms = 100;
  const spdy = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n";
  const begun_ms = performance.now();
  const answer = await new Promise<string>((resolve, reject) => {
    let heard = "";
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () =>
      socket.write(`POST /portForward/default/web HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer idle\r\n${spdy}\r\n`),
    );
    socket.on("data", (bytes) => {
      heard += bytes;
    });
    socket.on("close", () => resolve(heard)).on("error", reject);
  }).finally(() => {
    streamIdle_ms = 0;
  });
  expect(answer).toStartWith("HTTP/1.1 101");
  expect(performance.now() - begun_ms).toBeGreaterThanOrEqual(90);
});
