import { afterEach, beforeEach, expect, test } from "bun:test";
import { createServer, type Server } from "node:https";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
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
  const names = { commonName: "webhook", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
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
