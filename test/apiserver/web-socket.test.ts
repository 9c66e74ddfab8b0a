import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { connect } from "node:tls";
import { notFound } from "#shared/api/errors.ts";
import { startTestServer, type TestServer } from "../support/apiserver.ts";

let server: TestServer;

async function* logLines(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("one\n");
  yield Buffer.from([0xff, 0x0a]);
}

/** One that goes on; it breaks when the client has gone, as one from a board does. */
async function* endless(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  yield Buffer.from("one\n");
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  left.resolve();
  throw new Error("the connection closed");
}
const left = Promise.withResolvers<void>();

beforeAll(async () => {
  server = await startTestServer({
    guards: () => ({
      subresources: {
        "": {
          "pods/log": {
            handle: async ({ name, context }) => {
              if (name === "none") throw notFound({ group: "", plural: "pods" }, "none");
              const body = name === "endless" ? endless(context.signal) : logLines();
              return { kind: "bytes", code: 200, contentType: "text/plain", body };
            },
          },
        },
      },
    }),
  });
});
afterAll(() => server.stop());

interface Conversation {
  readonly protocol: string;
  readonly messages: (string | Buffer)[];
  readonly code: number;
}

/** Listens until the server closes. */
async function converse(path: string, protocols: string[]): Promise<Conversation> {
  const { certificatePem: cert, keyPem: key } = await server.issue("kubernetes-admin", ["system:masters"]);
  const socket = new WebSocket(`${server.url.replace("https", "wss")}${path}`, {
    protocols,
    tls: { ca: server.authority.certificatePem, cert, key },
  } as unknown as string[]);
  socket.binaryType = "nodebuffer" as BinaryType;
  const messages: (string | Buffer)[] = [];
  let opened = false;
  return new Promise((resolve, reject) => {
    socket.onopen = () => {
      opened = true;
    };
    socket.onmessage = ({ data }) => messages.push(data);
    socket.onerror = () => reject(new Error("refused"));
    socket.onclose = ({ code }) =>
      opened ? resolve({ protocol: socket.protocol, messages, code }) : reject(new Error("refused"));
  });
}

describe("a container's log by WebSocket", () => {
  const path = "/api/v1/namespaces/default/pods/one/log";

  test("is binary, begins with an empty message and ends with the log", async () => {
    const { protocol, messages, code } = await converse(path, ["binary.k8s.io"]);
    expect(protocol).toBe("binary.k8s.io");
    expect(messages.map((message) => Buffer.from(message).toString("hex"))).toEqual(["", "6f6e650a", "ff0a"]);
    expect(code).toBe(1000);
  });

  test("is text in base64 for who asks", async () => {
    const { protocol, messages } = await converse(path, ["unknown", "base64.binary.k8s.io"]);
    expect(protocol).toBe("base64.binary.k8s.io");
    expect(messages).toEqual(["", "b25lCg==", "/wo="]);
  });

  test("that goes on, when its client leaves, is no error of the server", async () => {
    const complaints = spyOn(console, "error");
    try {
      const { certificatePem: cert, keyPem: key } = await server.issue("kubernetes-admin", ["system:masters"]);
      const url = `${server.url.replace("https", "wss")}/api/v1/namespaces/default/pods/endless/log`;
      const tls = { ca: server.authority.certificatePem, cert, key };
      const socket = new WebSocket(url, { tls } as unknown as string[]);
      let messages = 0;
      socket.onmessage = () => {
        if (++messages === 2) socket.close();
      };
      await left.promise;
      // Whatever it had to say of that request is said by the time it has answered another.
      await converse(path, []);
      expect(complaints.mock.calls).toEqual([]);
    } finally {
      complaints.mockRestore();
    }
  });

  test("needs no subprotocol, and refuses one that is not known", async () => {
    expect((await converse(path, [])).messages).toHaveLength(3);
    await expect(converse(path, ["unknown"])).rejects.toThrow("refused");
  });
});

/** All that is answered to a request for an upgrade; what is `sent` follows it when the answer begins. */
async function answerTo(path: string, sent: Buffer, more = ""): Promise<Buffer> {
  const { certificatePem: cert, keyPem: key } = await server.issue("kubernetes-admin", ["system:masters"]);
  const { hostname, port } = new URL(server.url);
  const socket = connect({ host: hostname, port: Number(port), ca: server.authority.certificatePem, cert, key });
  const received: Buffer[] = [];
  const isClosed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.on("error", () => undefined);
  socket.on("data", (bytes: Buffer) => {
    received.push(bytes);
    if (received.length === 1) socket.write(sent);
  });
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${more}` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
  await isClosed;
  return Buffer.concat(received);
}

/** What a watch answers, after the head, to a client that sends bytes and waits until it is closed. */
async function watchAnswerTo(sent: Buffer): Promise<Buffer> {
  const all = await answerTo("/api/v1/configmaps?watch=true", sent);
  return all.subarray(all.indexOf("\r\n\r\n") + 4);
}

describe("an upgrade that is refused", () => {
  test("is answered as other requests are", async () => {
    const path = "/api/v1/namespaces/default/pods/none/log";
    const answer = (await answerTo(path, Buffer.alloc(0), "Audit-ID: mine\r\n")).toString();
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    const names = head.split("\r\n").map((line) => line.replace(/^date: .* GMT$/, "date"));
    expect(names).toEqual([
      "HTTP/1.1 404 Not Found",
      "audit-id: mine",
      "cache-control: no-cache, private",
      "content-type: application/json",
      "date",
      "connection: close",
      `content-length: ${body.length}`,
    ]);
    expect(body).toEndWith('"code":404}\n');
  });
});

describe("a watch by WebSocket", () => {
  test("ends for a client that sends what is no frame of one, with the reason", async () => {
    // Clients mask what they send (RFC 6455, 5.1).
    expect((await watchAnswerTo(Buffer.from([0x81, 0x01, 0x78]))).toString("hex")).toEndWith("880203ea");
  });

  test("gathers no long message of a client, as it would ignore it", async () => {
    const head = Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0, 0, 0]);
    // A part of the 64 MiB that it tells of.
    const frames = await watchAnswerTo(Buffer.concat([head, Buffer.alloc(1024 * 1024)]));
    expect(frames.includes(Buffer.from("03f1", "hex"))).toBe(true);
  });
});
