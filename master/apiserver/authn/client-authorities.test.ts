import { describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import {
  createCertificateAuthority,
  crossCertify,
  issueCertificate,
  type KeyAndCertificate,
} from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { ClientAuthorities } from "./client-authorities.ts";

const [clients, frontProxies, between] = await Promise.all(
  ["clients", "proxies", "between"].map((name) => createCertificateAuthority(name)),
);
if (!clients || !frontProxies || !between) throw new Error("there are three authorities");
const both = new ClientAuthorities({ clients: clients.certificatePem, frontProxies: frontProxies.certificatePem });
const leafOf = async (authority: KeyAndCertificate): Promise<string> =>
  (await issueCertificate(authority, { commonName: "leaf" }, [extendedKeyUsages.clientAuth])).certificatePem;
const der = (pem: string): Buffer => new X509Certificate(pem).raw;
const judged = (...chain: readonly string[]): string[] => {
  const { isClients, isFrontProxys } = both.judge(chain.map(der));
  return [...(isClients ? ["client"] : []), ...(isFrontProxys ? ["proxy"] : [])];
};

describe("a certificate is", () => {
  test("a client's or a proxy's, by who issued it", async () => {
    expect(judged(await leafOf(clients))).toEqual(["client"]);
    expect(judged(await leafOf(frontProxies))).toEqual(["proxy"]);
    expect(judged(await leafOf(between))).toEqual([]);
    // A self-signed one that stands in a bundle vouches for itself.
    expect(judged(frontProxies.certificatePem)).toEqual(["proxy"]);
  });

  test("what a path of authorities leads to, which is not any path of signatures", async () => {
    const leaf = await leafOf(between);
    expect(judged(leaf, await crossCertify(clients, between.certificatePem), clients.certificatePem)).toEqual([
      "client",
    ]);
    expect(judged(leaf, await crossCertify(frontProxies, between.certificatePem))).toEqual(["proxy"]);
    // An authority of the right name by another key.
    const namesake = await createCertificateAuthority("between");
    expect(judged(leaf, await crossCertify(clients, namesake.certificatePem))).toEqual([]);
    // A client signs another's certificate.
    const client = await issueCertificate(clients, { commonName: "between" }, [extendedKeyUsages.clientAuth]);
    expect(judged(await leafOf({ ...client, certificatePem: client.certificatePem }), client.certificatePem)).toEqual(
      [],
    );
  });

  test("both where one key is certified by both", async () => {
    const twice = new ClientAuthorities({
      clients: between.certificatePem,
      frontProxies: frontProxies.certificatePem + (await crossCertify(frontProxies, between.certificatePem)),
    });
    const { isClients, isFrontProxys } = twice.judge([der(await leafOf(between))]);
    expect([isClients, isFrontProxys]).toEqual([true, true]);
  });

  test("nobody's once its authority has run out", async () => {
    const leaf = der(await leafOf(clients));
    expect(both.judge([leaf]).isClients).toBe(true);
    expect(both.judge([leaf], new Date("2100-01-01")).isClients).toBe(false);
  });
});
