import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { PassThrough, Readable } from "node:stream";
import { forwardedHeaders, requestOver, UnfitHead, writeHead } from "./http-over-stream.ts";

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString();
  if (request.url === "/chunked") {
    response.write("one ");
    response.end("two");
  } else if (request.url === "/missing") {
    response.writeHead(404, { "x-why": "not here" }).end("nothing");
  } else {
    response.end(`${request.method} ${request.url} ${body}`);
  }
});
let port = 0;
beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => void server.close());

const host = ["Host", "pod"];
const dial = (to = port): Socket => connect(to, "127.0.0.1");
async function read(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

test("a length beside a coding is not passed on: who believed it would take a part of the body for the next request", () => {
  const other = ["X", "y"];
  expect(forwardedHeaders(["Content-Length", "4", "Transfer-Encoding", "chunked", ...other])).toEqual(other);
  expect(forwardedHeaders(["Content-Length", "4", ...other])).toEqual(["Content-Length", "4", ...other]);
});

describe("a request over a stream", () => {
  test("has a method and a path, each in one part", () => {
    for (const [method, path] of [
      ["GET", "/admin HTTP/1.1 /public"],
      ["GET", "/admin\tHTTP/1.1"],
      ["GET /admin HTTP/1.1", "/public"],
      ["", "/"],
      ["GET", "/\r\nX: y"],
    ] as const) {
      const stream = new PassThrough();
      expect(() => writeHead(stream, method, path, [])).toThrow(UnfitHead);
      expect(stream.read()).toBeNull();
    }
    const stream = new PassThrough();
    writeHead(stream, "M-SEARCH", "/\u00c3\u00a0?a=%20", ["X", "a b"]);
    expect(String(stream.read())).toStartWith("M-SEARCH /\u00c3\u00a0?a=%20 HTTP/1.1\r\nX: a b\r\n");
  });

  const chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const often = (text: string): string => text.repeat(Math.ceil(2 ** 20 / text.length));
  test.each<[string, string]>([
    ["the length of a chunk", `${chunkedHead}${often("0")}\r\n\r\n`],
    ["trailers", `${chunkedHead}0\r\n${often("X: y\r\n")}\r\n`],
  ])("is given up where %s would fill the memory", async (_what, answer) => {
    const endless = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end(answer));
    });
    await new Promise<void>((done) => endless.listen(0, "127.0.0.1", done));
    const stream = dial((endless.address() as AddressInfo).port);
    const asked = requestOver(stream, { method: "GET", path: "/", headers: host });
    await expect(asked.then(({ body }) => read(body))).rejects.toThrow("what frames the answer is too long");
    endless.close();
  });

  test("carries bodies of known and unknown length", async () => {
    const known = await requestOver(dial(), {
      method: "POST",
      path: "/a?b=c",
      headers: host,
      body: Buffer.from("hello"),
    });
    expect(await read(known.body)).toBe("POST /a?b=c hello");
    const unknown = await requestOver(dial(), {
      method: "PUT",
      path: "/a",
      headers: host,
      body: Readable.from([Buffer.from("hel"), Buffer.from("lo")]),
    });
    expect(await read(unknown.body)).toBe("PUT /a hello");
  });

  test("a header is one line, whoever's name stands in it", async () => {
    for (const headers of [
      ["X-Remote-User", "eve\r\nX-Remote-Group: system:masters"],
      ["X-Remote-Extra-a\n", "b"],
      ["X-Remote-Group", "a\u0000b"],
    ]) {
      const stream = dial();
      const asked = requestOver(stream, { method: "GET", path: "/", headers: [...host, ...headers] });
      await expect(asked).rejects.toThrow("invalid header field value");
      expect(stream.destroyed).toBe(true);
    }
    const fine = await requestOver(dial(), { method: "GET", path: "/", headers: [...host, "X-Remote-User", "é\tb"] });
    expect(fine.status).toBe(200);
  });

  test("a connection that is cut while nobody reads the answer troubles nobody", async () => {
    const cut = createTcpServer((socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbeg"));
    await new Promise<void>((done) => cut.listen(0, "127.0.0.1", done));
    const stream = dial((cut.address() as AddressInfo).port);
    const { body } = await requestOver(stream, { method: "GET", path: "/", headers: host });
    const closed = new Promise((resolve) => body.once("close", resolve));
    stream.destroy();
    await closed;
    expect(body.errored).not.toBeNull();
    cut.close();
  });

  test("reads chunked answers, codes and headers", async () => {
    const chunked = await requestOver(dial(), { method: "GET", path: "/chunked", headers: host });
    expect(await read(chunked.body)).toBe("one two");
    const missing = await requestOver(dial(), { method: "GET", path: "/missing", headers: host });
    expect(missing.status).toBe(404);
    expect(missing.headers.map((each) => each.toLowerCase())).toContain("x-why");
    expect(await read(missing.body)).toBe("nothing");
  });

  test("an answer that ends with its connection is whole; one that is cut is an error", async () => {
    const raw = createTcpServer((socket) => {
      socket.once("data", (chunk) => {
        const isCut = chunk.toString().includes("/cut");
        socket.end(`HTTP/1.1 200 OK\r\n${isCut ? "Content-Length: 100\r\n" : ""}\r\nshort`);
      });
    });
    await new Promise<void>((done) => raw.listen(0, "127.0.0.1", done));
    const to = (raw.address() as AddressInfo).port;
    expect(await read((await requestOver(dial(to), { method: "GET", path: "/", headers: host })).body)).toBe("short");
    const cut = await requestOver(dial(to), { method: "GET", path: "/cut", headers: host });
    await expect(read(cut.body)).rejects.toThrow();
    raw.close();
  });

  test("what is not HTTP is an error", async () => {
    const raw = createTcpServer((socket) => void socket.end("garbage\r\n\r\n"));
    await new Promise<void>((done) => raw.listen(0, "127.0.0.1", done));
    const to = (raw.address() as AddressInfo).port;
    await expect(requestOver(dial(to), { method: "GET", path: "/", headers: host })).rejects.toThrow();
    raw.close();
  });
});

test("credentials for this server and headers of this hop are not passed on", () => {
  expect(
    forwardedHeaders([
      "Authorization",
      "Bearer x",
      "Accept",
      "*/*",
      "Connection",
      "keep-alive",
      "Impersonate-User",
      "y",
    ]),
  ).toEqual(["Accept", "*/*"]);
  const bearer = "base64url.bearer.authorization.k8s.io.c2VjcmV0";
  expect(forwardedHeaders(["Sec-WebSocket-Protocol", `v5.channel.k8s.io, ${bearer}`])).toEqual([
    "Sec-WebSocket-Protocol",
    "v5.channel.k8s.io",
  ]);
  expect(forwardedHeaders(["Sec-WebSocket-Protocol", bearer])).toEqual([]);
});
