import { expect, test } from "bun:test";
import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { relayUpgrade } from "./upgrade-relay.ts";

/** One end of a connection: what it is given, and what comes to it. */
class End extends Duplex {
  readonly got: Buffer[] = [];

  override _read(): void {
    // What is read is pushed by the test.
  }
  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.got.push(chunk);
    done();
  }
  text(): string {
    return Buffer.concat(this.got).toString();
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function relaying(head = "") {
  const [client, server] = [new End(), new End()];
  const request = { method: "GET" } as IncomingMessage;
  const done = relayUpgrade({ request, socket: client, head: Buffer.from(head) }, server, "/x?a=b", ["Upgrade", "own"]);
  const outcome = done.then(
    () => "relayed",
    (error: Error) => error.message,
  );
  return { client, server, outcome };
}

const switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: own\r\n\r\n";

test("bytes go both ways once the server has switched, also those that came with the heads", async () => {
  const { client, server, outcome } = relaying("early");
  expect(server.text()).toBe("GET /x?a=b HTTP/1.1\r\nUpgrade: own\r\n\r\n");
  server.push(switched.slice(0, 30));
  await turn();
  server.push(`${switched.slice(30)}welcome`);
  expect(await outcome).toBe("relayed");
  client.push("to the server");
  server.push(", client");
  await turn();
  await turn();
  expect(client.text()).toBe(`${switched}welcome, client`);
  expect(server.text()).toEndWith("\r\n\r\nearlyto the server");
  server.push(null);
  server.destroy();
  await turn();
  await turn();
  expect(client.writableEnded).toBe(true);
});

test("a refusal is passed on, and ends the connection with its body", async () => {
  const { client, server, outcome } = relaying("early");
  server.push("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nno");
  expect(await outcome).toBe("relayed");
  expect(server.destroyed).toBe(false);
  server.push("pe!");
  await turn();
  await turn();
  expect(client.text()).toBe("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nnope!");
  expect([server.destroyed, client.writableEnded]).toEqual([true, true]);
  expect(server.text()).not.toContain("early");
});

test.each([
  ["that ends with the connection", "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n"],
  ["that is still on its way", "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nno"],
])("what a client sends behind a refusal %s reaches nobody", async (_, refusal) => {
  const { client, server, outcome } = relaying();
  client.push("GET /first HTTP/1.1\r\n\r\n");
  server.push(refusal);
  expect(await outcome).toBe("relayed");
  client.push("GET /second HTTP/1.1\r\n\r\n");
  await turn();
  await turn();
  expect(server.text()).toBe("GET /x?a=b HTTP/1.1\r\nUpgrade: own\r\n\r\n");
  expect(client.text()).toBe(refusal);
  server.push(null);
  await turn();
  await turn();
  expect(client.writableEnded).toBe(true);
});

test.each([
  ["nothing special", "HTTP/1.1 200 OK\r\n\r\n", "invalid upgrade response: status code 200"],
  ["a redirect", "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "invalid upgrade response: status code 302"],
  ["another protocol", "no HTTP at all\r\n\r\n", "malformed HTTP response"],
  ["a head without an end", "x".repeat(70_000), "malformed HTTP response"],
])("%s is no answer to an upgrade", async (_, answer, message) => {
  const { client, server, outcome } = relaying();
  server.push(answer);
  expect(await outcome).toBe(message);
  expect([server.destroyed, client.text()]).toEqual([true, ""]);
});

test("a server that goes without an answer is an error, and a client that goes ends the attempt", async () => {
  const silent = relaying();
  silent.server.push(null);
  expect(await silent.outcome).toBe("unexpected EOF");
  const left = relaying();
  left.client.destroy();
  expect(await left.outcome).toBe("unexpected EOF");
  expect(left.server.destroyed).toBe(true);
});
