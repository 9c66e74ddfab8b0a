/** Connections that clients want upgraded by an aggregated server: switched, refused in its words, or sent nowhere else. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { request } from "node:https";
import { connect } from "node:tls";
import { type ExtendedServer, startExtendedServer } from "../../extensions/extended-server.ts";
import { type Answerer, Backings } from "./backing.ts";
import { condition, createNamespace, type Fetch, register } from "./conversation.ts";

setDefaultTimeout(300_000);

const group = "upgrading.example.com";
/** What the server behind has been asked for. */
const seen: string[] = [];
const upgrades: (string | undefined)[] = [];
const answer: Answerer = (incoming, response) => {
  seen.push(incoming.url ?? "");
  upgrades.push(incoming.headers.upgrade);
  const [, name] = /\/([a-z]+)\/x$/.exec(incoming.url ?? "") ?? [];
  if (name === "moved") response.writeHead(302, { location: "https://elsewhere.example.com/" }).end();
  else if (name === "switched")
    response.socket?.end("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nhello");
  else if (name === "coded") {
    response.writeHead(403, { "content-type": "text/plain" });
    response.write("not ");
    response.end("you");
  } else if (name === "refused") response.writeHead(403, { "content-type": "text/plain" }).end("not you");
  else response.writeHead(200, { "content-type": "application/json" }).end('{"kind":"APIResourceList","resources":[]}');
};

let server: ExtendedServer;
let backings: Backings;
beforeAll(async () => {
  server = await startExtendedServer([], { discoveryWithin_ms: 15_000 });
  backings = await Backings.open("127.0.0.1", "10.205.0.1");
  const fetched: Fetch = (path, init) => server.fetch(path, init);
  await createNamespace(fetched);
  const spec = (): Record<string, unknown> => ({ insecureSkipTLSVerify: true });
  await register(fetched, backings, { name: "upgrading", behaviour: { kind: "https", answer }, spec });
  await condition(fetched, `v1.${group}`);
});
afterAll(async () => {
  backings?.stop();
  await server?.stop();
});

async function asked(
  path: string,
  upgrade = "websocket",
): Promise<{ code: number; location: string | undefined; text: string }> {
  const { certificatePem: cert, keyPem: key } = await server.issue("admin", ["system:masters"]);
  const sent = request(`${server.url}/apis/${group}/v1/${path}`, {
    ...{ ca: server.authority.certificatePem, cert, key, agent: false },
    headers: { connection: "Upgrade", upgrade, "sec-websocket-version": "13" },
  });
  return new Promise((resolve, reject) => {
    sent.on("error", reject);
    sent.on("upgrade", async (response, socket, head) => {
      let text = String(head);
      for await (const chunk of socket) text += String(chunk);
      resolve({ code: response.statusCode ?? 0, location: response.headers.location, text });
    });
    sent.on("response", async (response) => {
      let text = "";
      for await (const chunk of response) text += String(chunk);
      resolve({ code: response.statusCode ?? 0, location: response.headers.location, text });
    });
    sent.end();
  });
}

test("a refusal comes in the server's words", async () => {
  expect(await asked("refused/x")).toEqual({ code: 403, location: undefined, text: "not you" });
});

test("a redirect is not passed on, nor an answer as if nothing had been asked", async () => {
  for (const [path, code] of [
    ["moved/x", 302],
    ["plain/x", 200],
  ] as const) {
    const { text, ...told } = await asked(path);
    expect(told).toEqual({ code: 503, location: undefined });
    expect(text).toContain(`invalid upgrade response: status code ${code}`);
  }
});

test("once a server has switched, bytes come as it sends them", async () => {
  expect(await asked("switched/x")).toEqual({ code: 101, location: undefined, text: "hello" });
});

test("nobody gets to speak HTTP/2 with the server behind: the request is answered as it is", async () => {
  upgrades.length = 0;
  expect(await asked("plain/x", "h2c")).toMatchObject({ code: 200 });
  expect(await asked("plain/x", "websocket, h2c")).toMatchObject({ code: 200 });
  expect(upgrades).toEqual([undefined, undefined]);
});

test("what a client sends behind a refusal is no request of this server's to the one behind", async () => {
  const { certificatePem: cert, keyPem: key } = await server.issue("anna", ["system:masters"]);
  const { hostname: host, port } = new URL(server.url);
  const socket = connect({ host, port: Number(port), cert, key, ca: server.authority.certificatePem });
  const head = (path: string, ...more: string[]): string =>
    `${[`GET /apis/${group}/v1/${path} HTTP/1.1`, `Host: ${host}`, ...more].join("\r\n")}\r\n\r\n`;
  socket.write(head("coded/x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"));
  let text = "";
  for await (const chunk of socket) {
    if (text === "") socket.write(head("second/x", "X-Remote-User: root", "X-Remote-Group: system:masters"));
    text += String(chunk);
    if (text.includes("\r\n0\r\n\r\n")) socket.end();
  }
  expect(text).toContain("403 Forbidden");
  expect(seen).toContain(`/apis/${group}/v1/coded/x`);
  expect(seen).not.toContain(`/apis/${group}/v1/second/x`);
});
