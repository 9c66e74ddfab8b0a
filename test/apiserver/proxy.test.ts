import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { connectHandlers } from "#master/apiserver/connect/handlers.ts";
import { nodes, pods } from "#shared/api/resources.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

const behind = createServer((request, response) => {
  if (request.url === "/page") {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end('<a href="/next">next</a>');
  } else if (request.url === "/moved") {
    response.writeHead(302, { Location: "/new?a=b" }).end();
  } else if (request.url === "/headers") {
    response.end(Object.keys(request.headers).join());
  } else if (request.url?.includes("sinceSeconds=7")) {
    response.write("one\n");
    response.on("close", () => left.resolve());
  } else {
    response.end(`${request.method} ${request.url}`);
  }
});
/** Of a log that does not end, the connection. */
const left = Promise.withResolvers<void>();

behind.on("upgrade", (request, socket) => {
  socket.end(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: own\r\nConnection: Upgrade\r\n\r\n${Object.keys(request.headers)}`,
  );
});

let server: TestServer;
beforeAll(async () => {
  await new Promise<void>((done) => behind.listen(0, "127.0.0.1", done));
  const dial = async () => connect((behind.address() as AddressInfo).port, "127.0.0.1");
  server = await startTestServer({
    guards: ({ reader }) => ({ subresources: { "": connectHandlers({ dialer: { dial, boards: [] }, reader }) } }),
  });
  await server.client.create(pods, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", namespace: "default" },
    spec: { nodeName: "a", containers: [{ name: "c", image: "i" }] },
  } as Pod);
  await server.client.create(nodes, { apiVersion: "v1", kind: "Node", metadata: { name: "a" } } as Node);
  const pod = await server.client.get(pods, { namespace: "default", name: "web" });
  await server.client.update(pods, { ...pod, status: { podIP: "10.42.0.7", phase: "Running" } } as Pod, {
    subresource: "status",
  });
});
afterAll(async () => {
  await server.stop();
  behind.close();
});

const pod = "/api/v1/namespaces/default/pods/web";
const root = `${pod}/proxy`;

async function ask(method: string, path: string, subresource = "proxy"): Promise<Response> {
  const { certificatePem: cert, keyPem: key } = await server.issue("kubernetes-admin", ["system:masters"]);
  return fetch(`${server.url}${pod}/${subresource}${path}`, {
    method,
    redirect: "manual",
    tls: { ca: server.authority.certificatePem, cert, key },
  } as RequestInit);
}

describe("a pod behind the proxy subresource", () => {
  test("gets every method, and the path as it was written", async () => {
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
      expect(await (await ask(method, "/a%2Fb/c/?d=e")).text()).toBe(`${method} /a%2Fb/c/?d=e`);
    expect(await (await ask("POST", "")).text()).toBe("POST /");
    expect((await ask("HEAD", "/a")).status).toBe(200);
    expect((await ask("HEAD", "", "status")).status).toBe(405);
  });

  test("has its root below a slash, so that relative links work", async () => {
    for (const method of ["GET", "HEAD"]) {
      const answer = await ask(method, "?a=b");
      expect([answer.status, answer.headers.get("location")]).toEqual([301, `${root}/?a=b`]);
    }
    expect(await (await ask("GET", "/")).text()).toBe("GET /");
  });

  test("is not told whose the request is, be it by whoever sends it", async () => {
    const said = {
      "X-Remote-User": "mallory",
      "x-remote-group": "system:masters",
      "X-Remote-Extra-a": "b",
      authorization: "Basic bTpt",
      "X-Own": "own",
    };
    const { certificatePem: cert, keyPem: key } = await server.issue("kubernetes-admin", ["system:masters"]);
    const tls = { ca: server.authority.certificatePem, cert, key };
    const answer = await fetch(`${server.url}${root}/headers`, { headers: said, tls } as RequestInit);
    const names = (await answer.text()).split(",");
    expect(names).toContain("x-own");
    expect(names.filter((name) => name.startsWith("x-remote-") || name === "authorization")).toEqual([]);
    const socket = connectTls({ host: "127.0.0.1", port: Number(new URL(server.url).port), ...tls });
    const headers = { Host: "localhost", Connection: "Upgrade", Upgrade: "own", ...said };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    socket.write(`GET ${root}/headers HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
    const switched = Buffer.concat(await socket.toArray()).toString();
    expect(switched).toStartWith("HTTP/1.1 101");
    expect(switched).toContain("x-own");
    expect(switched).not.toContain("x-remote-");
  });

  test("is linked to and redirected to through the proxy", async () => {
    expect(await (await ask("GET", "/page")).text()).toBe(`<a href="${root}/next">next</a>`);
    expect((await ask("GET", "/moved")).headers.get("location")).toBe(`${root}/new?a=b`);
  });
});

test("a container's log is asked for with the options of the request", async () => {
  const log = async (query: string): Promise<string> => (await ask("GET", query, "log")).text();
  const path = "/containerLogs/default/web/c";
  expect(await log("?tailLines=1&limitBytes=1")).toBe(`GET ${path}?tailLines=1&limitBytes=1`);
  expect(await log("?follow=1&previous=false&sinceSeconds=1")).toBe(`GET ${path}?follow=true&sinceSeconds=1`);
  // A flag is true that is not said to be false.
  expect(await log("?follow=&previous=False&timestamps=yes")).toBe(`GET ${path}?follow=true&timestamps=true`);
});

test("who leaves a log that goes on is no error of the server", async () => {
  const complaints = spyOn(console, "error");
  try {
    const answer = await ask("GET", "?follow=true&sinceSeconds=7", "log");
    const reader = answer.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("one\n");
    await reader?.cancel();
    await left.promise;
    // Whatever it had to say of that request is said by the time it answers another.
    expect((await ask("GET", "/a")).status).toBe(200);
    expect(complaints.mock.calls).toEqual([]);
  } finally {
    complaints.mockRestore();
  }
});

test("a container's log is not asked for with options that are no numbers, or none that may be", async () => {
  const refused = async (query: string): Promise<unknown[]> => {
    const answer = await ask("GET", query, "log");
    const { reason, message } = (await answer.json()) as { reason: string; message: string };
    return [answer.status, reason, message];
  };
  for (const name of ["tailLines", "limitBytes", "sinceSeconds"]) {
    for (const text of ["x", "", "1.5", "0x10", "1e3"]) {
      const message = `strconv.ParseInt: parsing "${text}": invalid syntax`;
      expect(await refused(`?${name}=${text}`)).toEqual([400, "BadRequest", message]);
    }
    const message = 'strconv.ParseInt: parsing "9223372036854775808": value out of range';
    expect(await refused(`?${name}=9223372036854775808`)).toEqual([400, "BadRequest", message]);
    expect((await refused(`?${name}=-1`)).slice(0, 2)).toEqual([422, "Invalid"]);
  }
});
