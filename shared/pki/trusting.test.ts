import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "./certificate.ts";
import { extendedKeyUsages } from "./certificate-facts.ts";
import { trusting } from "./trusting.ts";

let authority: KeyAndCertificate;
let own: KeyAndCertificate;
let server: Server;

beforeAll(async () => {
  authority = await createCertificateAuthority("trusting-ca");
  own = await issueCertificate(authority, { commonName: "here", ipAddresses: ["127.0.0.1"] }, [
    extendedKeyUsages.serverAuth,
  ]);
  server = createServer({ cert: own.certificatePem, key: own.keyPem }, (_, response) => void response.end("here"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(() => void server.close());

const ask = async (ca: string): Promise<string> => {
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return (await fetch(url, { tls: trusting(ca) } as RequestInit)).text();
};

test("a server's own certificate is trusted, and its issuer's", async () => {
  expect(await ask(own.certificatePem)).toBe("here");
  expect(await ask(authority.certificatePem)).toBe("here");
});

test("another of the same issuer does not vouch for it, nor does a stranger", async () => {
  const sister = await issueCertificate(authority, { commonName: "here", ipAddresses: ["127.0.0.1"] }, [
    extendedKeyUsages.serverAuth,
  ]);
  const stranger = await createCertificateAuthority("trusting-ca");
  for (const { certificatePem } of [sister, stranger])
    await expect(ask(certificatePem)).rejects.toThrow(/certificate|issuer|verify/i);
});
