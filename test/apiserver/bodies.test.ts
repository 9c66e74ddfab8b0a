/** Bodies are taken in when the endpoint that a request reaches wants them, and no sooner. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { connect, type TLSSocket } from "node:tls";
import { errorCodes, flags, frameTypes } from "#shared/http2/frames.ts";
import type { Decision } from "../../master/apiserver/authz/authorizer.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";
import { Http2Client } from "../support/http2-client.ts";

const collection = "/api/v1/namespaces/default/configmaps";
const PASSED_OVER_BYTES = 256 * 1024;
/** More than sockets hold between the two. */
const HUGE_BYTES = 64 * 1024 * 1024;

let server: TestServer;
/** What the authorizer says of `waiting`, once somebody decides. */
let decide: (decision: Decision) => void = () => undefined;

beforeAll(async () => {
  server = await startTestServer({
    guards: () => ({
      authorizer: {
        authorize: ({ user }) => {
          if (user.name === "waiting") return new Promise<Decision>((resolve) => (decide = resolve));
          return { outcome: user.name === "kubernetes-admin" ? "allow" : "no-opinion", reason: "" };
        },
      },
    }),
  });
});
afterAll(() => server.stop());

const place = async (user: string) => {
  const { certificatePem: cert, keyPem: key } = await server.issue(user);
  return { port: Number(new URL(server.url).port), ca: server.authority.certificatePem, cert, key };
};

class Http1Client {
  readonly socket: TLSSocket;
  #text = "";
  #wake: () => void = () => undefined;

  static async connect(user: string): Promise<Http1Client> {
    const socket = connect({ host: "127.0.0.1", ...(await place(user)) });
    await once(socket, "secureConnect");
    return new Http1Client(socket);
  }

  constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#text += bytes.toString();
      this.#wake();
    });
    socket.on("error", () => this.#wake());
    socket.on("close", () => this.#wake());
  }

  /** Of the answers that came: their codes. */
  get codes(): number[] {
    return [...this.#text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => Number(code));
  }

  get closes(): boolean {
    return /^connection: close/im.test(this.#text);
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.socket.destroyed) throw new Error(`the connection is over; it brought ${this.#text}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  post(headers: string, path = collection): void {
    this.socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n\r\n`);
  }
}

const next = "GET /version HTTP/1.1\r\nHost: x\r\n\r\n";

test("who may not write hears so before the body, and the connection goes on behind it", async () => {
  const client = await Http1Client.connect("somebody");
  client.post("Content-Length: 1000");
  await client.until(() => client.codes.length === 1);
  expect([client.codes, client.closes]).toEqual([[403], false]);
  client.socket.write(" ".repeat(1000) + next);
  await client.until(() => client.codes.length === 2);
  client.socket.destroy();
});

test("a body in chunks that nobody wants is passed over as far as one of known length is", async () => {
  const chunk = (bytes: number): string => `${bytes.toString(16)}\r\n${"a".repeat(bytes)}\r\n`;
  const short = await Http1Client.connect("somebody");
  short.post("Transfer-Encoding: chunked");
  await short.until(() => short.codes.length === 1);
  short.socket.write(`${chunk(1000)}${chunk(PASSED_OVER_BYTES / 2)}0\r\n\r\n${next}`);
  await short.until(() => short.codes.length === 2);
  short.socket.destroy();
  const long = await Http1Client.connect("somebody");
  long.post("Transfer-Encoding: chunked");
  await long.until(() => long.codes.length === 1);
  const over = once(long.socket, "end");
  long.socket.write(chunk(2 * PASSED_OVER_BYTES));
  await over;
  expect(long.codes).toEqual([403]);
  long.socket.destroy();
});

test("a long body that nobody wants ends the connection behind the answer, whatever its client sends", async () => {
  const client = await Http1Client.connect("somebody");
  const over = once(client.socket, "end");
  client.post(`Content-Length: ${HUGE_BYTES}`);
  client.socket.write(Buffer.alloc(HUGE_BYTES));
  await over;
  expect([client.codes, client.closes]).toEqual([[403], true]);
  client.socket.destroy();
});

test.each([
  ["POST", "waiting", 403],
  // Reads its body no more than any other GET.
  ["GET", "waiting", 200],
] as const)("a body of %s is not taken in while nobody reads it", async (method, user, code) => {
  const client = await Http1Client.connect(user);
  let isSent = false;
  client.socket.write(`${method} ${collection} HTTP/1.1\r\nHost: x\r\nContent-Length: ${HUGE_BYTES}\r\n\r\n`);
  client.socket.write(Buffer.alloc(HUGE_BYTES), () => {
    isSent = true;
  });
  for (let turn = 0; turn < 300 && !isSent; turn += 1) await server.fetch("/version").then((each) => each.text());
  expect(isSent).toBe(false);
  decide({ outcome: code === 200 ? "allow" : "no-opinion", reason: "" });
  await client.until(() => client.codes.length === 1);
  expect(client.codes).toEqual([code]);
  client.socket.destroy();
});

test("by HTTP/2 the answer comes before the body, and word that no more of it is needed", async () => {
  const client = await Http2Client.connect(await place("somebody"));
  const stream = client.begin("POST", collection, [["content-type", "application/json"]], false);
  expect((await client.answer(stream)).status).toBe(403);
  await client.until(() => client.resetCode(stream) !== undefined);
  expect(client.resetCode(stream)).toBe(errorCodes.noError);
  const after = client.begin("POST", collection, [["content-type", "application/json"]], false);
  client.send(frameTypes.data, flags.endStream, after, Buffer.from("{}"));
  expect((await client.answer(after)).status).toBe(403);
  client.close();
});

test("a body that comes too slowly for the time that its request may take is given up", async () => {
  const slow = await Http1Client.connect("kubernetes-admin");
  slow.post("Content-Length: 1000", `${collection}?timeout=500ms`);
  slow.socket.write("{");
  await slow.until(() => slow.codes.length === 1);
  expect(slow.codes).toEqual([504]);
  slow.socket.destroy();
  const client = await Http2Client.connect(await place("kubernetes-admin"));
  const stream = client.begin("POST", `${collection}?timeout=500ms`, [["content-type", "application/json"]], false);
  client.send(frameTypes.data, 0, stream, Buffer.from("{"));
  expect((await client.answer(stream)).status).toBe(504);
  client.close();
});

test("a body that is cut off makes nothing, and harms nobody", async () => {
  const object = JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "cut" } });
  const client = await Http1Client.connect("kubernetes-admin");
  client.post(`Content-Length: ${object.length + 1}`);
  client.socket.end(object);
  await once(client.socket, "close");
  expect((await server.fetch(`${collection}/cut`, {})).status).not.toBe(200);
});
