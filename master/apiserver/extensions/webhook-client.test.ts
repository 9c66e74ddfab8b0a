import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createServer, type Server } from "node:https";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { startSocksProxy } from "#shared/http/testing/socks-proxy.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { WebhookClient } from "./webhook-client.ts";

let server: Server;
let url: string;
let caBundle: string;
let answers: Record<string, readonly [number, string]>;
let seen: string[];

beforeEach(async () => {
  const authority = await createCertificateAuthority("webhook-ca");
  const names = { commonName: "webhook", dnsNames: ["localhost", "w.test"], ipAddresses: ["127.0.0.1", "192.0.2.1"] };
  const { keyPem, certificatePem } = await issueCertificate(authority, names, [extendedKeyUsages.serverAuth]);
  caBundle = Buffer.from(authority.certificatePem).toString("base64");
  seen = [];
  server = createServer({ key: keyPem, cert: certificatePem }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const path = request.url ?? "";
      seen.push(`${request.method} ${path} ${Buffer.concat(chunks)}`);
      const [status, location] = answers[path] ?? [200, ""];
      response.writeHead(status, location === "" ? {} : { location }).end('{"said":true}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => void server.close());

const call = (path: string): Promise<unknown> =>
  new WebhookClient(undefined as never, undefined as never).call(
    { name: "w", url: `${url}${path}`, caBundle },
    { asked: 1 },
    { timeout_ms: 10_000 },
  );

test("a webhook that is elsewhere is asked there, with the review where the answer lets it", async () => {
  answers = { "/a": [307, "/b"], "/b": [308, `${"/c"}`] };
  expect(await call("/a/")).toEqual({ said: true });
  expect(seen).toEqual(['POST /a {"asked":1}', 'POST /b {"asked":1}', 'POST /c {"asked":1}']);
  seen = [];
  answers = { "/a": [302, "/b?x=1"] };
  await call("/a");
  expect(seen).toEqual(['POST /a {"asked":1}', "GET /b?x=1 "]);
});

test("round in circles it is not followed for ever", async () => {
  answers = { "/a": [307, "/b"], "/b": [307, "/a"] };
  expect(call("/a")).rejects.toThrow(`Post "/a": stopped after 10 redirects`);
  await call("/a").catch(() => undefined);
  expect(seen).toHaveLength(20);
});

test("one that leaves HTTP unasked has no more time than any other", async () => {
  const closed = Promise.withResolvers<void>();
  const strange = createTcpServer((socket) => {
    socket.on("error", () => undefined).once("close", () => closed.resolve());
    socket.once("data", () =>
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nmore"),
    );
  });
  await new Promise<void>((resolve) => strange.listen(0, "127.0.0.1", resolve));
  const { port } = strange.address() as AddressInfo;
  const client = new WebhookClient(undefined as never, undefined as never);
  const asked = client.call({ name: "w", url: `http://127.0.0.1:${port}/` }, {}, { timeout_ms: 100 });
  await expect(asked).rejects.toThrow("context deadline exceeded");
  await closed.promise;
  strange.close();
});

describe("a proxy that the environment names", () => {
  const connects: string[] = [];
  let answer: string;
  /** Leads to the webhook, whatever it is asked for. */
  const proxy = createTcpServer((socket) => {
    socket.once("data", (head: Buffer) => {
      connects.push(head.toString());
      if (answer !== "200 OK") {
        socket.end(`HTTP/1.1 ${answer}\r\n\r\n`);
        return;
      }
      const onward = connect((server.address() as AddressInfo).port, "127.0.0.1", () => {
        socket.write(`HTTP/1.1 ${answer}\r\nX: y\r\n\r\n`);
        socket.pipe(onward).pipe(socket);
      });
      for (const [one, other] of [
        [socket, onward],
        [onward, socket],
      ] as const)
        one.on("error", () => other.destroy()).on("close", () => other.destroy());
    });
  });
  beforeAll(() => new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve)));
  afterAll(() => void proxy.close());
  beforeEach(() => {
    connects.length = 0;
    answer = "200 OK";
    answers = {};
  });

  const byProxy = (asked: string, exceptions = ""): Promise<unknown> => {
    const named = `http://u:s%20@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const environment = { HTTPS_PROXY: named, NO_PROXY: exceptions };
    const client = new WebhookClient(undefined as never, undefined as never, environment);
    return client.call({ name: "w", url: asked, caBundle }, { asked: 1 }, { timeout_ms: 60_000 });
  };

  test("is how a webhook's URL is asked, of a name or an address", async () => {
    for (const [host, target] of [
      ["w.test", "w.test:443"],
      ["192.0.2.1:8443", "192.0.2.1:8443"],
    ] as const) {
      expect(await byProxy(`https://${host}/a`)).toEqual({ said: true });
      const login = Buffer.from("u:s ").toString("base64");
      expect(connects.splice(0)).toEqual([
        `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\nProxy-Authorization: Basic ${login}\r\n\r\n`,
      ]);
    }
    expect(seen).toEqual(['POST /a {"asked":1}', 'POST /a {"asked":1}']);
  });

  test("may be one that speaks SOCKS5", async () => {
    const socks = await startSocksProxy(
      () => ({ method: [5, 0], reply: [5, 0, 0, 1, 127, 0, 0, 1, 0, 80] }),
      () => (server.address() as AddressInfo).port,
    );
    const environment = { HTTPS_PROXY: `socks5://127.0.0.1:${socks.port}` };
    const client = new WebhookClient(undefined as never, undefined as never, environment);
    const target = { name: "w", url: "https://w.test/a", caBundle };
    expect(await client.call(target, { asked: 1 }, { timeout_ms: 60_000 })).toEqual({ said: true });
    expect(socks.told).toEqual(["050100", `0501000306${Buffer.from("w.test").toString("hex")}01bb`]);
    socks.stop();
  });

  test("is not asked for what it is not for, and what it refuses is told", async () => {
    expect(await byProxy(`${url}/a`)).toEqual({ said: true });
    expect(connects).toEqual([]);
    answer = "407 Proxy Authentication Required";
    await expect(byProxy("https://w.test/a")).rejects.toThrow('Post "https://w.test/a": Proxy Authentication Required');
    // By the proxy it is still the webhook that has to show whose it is.
    answer = "200 OK";
    await expect(byProxy("https://other.test/a")).rejects.toThrow('Post "https://other.test/a": ');
  });
});
