import { readFileSync } from "node:fs";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "./certificate.ts";
import { extendedKeyUsages } from "./certificate-facts.ts";

/** A serving certificate of an authority of its own that nobody knows: for who does not check, such as probes. */
export async function selfSignedServing(
  hostNames: readonly string[],
  ips: readonly string[],
): Promise<KeyAndCertificate> {
  const [commonName = "localhost"] = hostNames;
  const authority = await createCertificateAuthority(`${commonName}-ca@${Math.floor(Date.now() / 1000)}`);
  const subject = { commonName, organizations: [], dnsNames: hostNames, ipAddresses: ips };
  const { certificatePem, keyPem } = await issueCertificate(authority, subject, [extendedKeyUsages.serverAuth]);
  return { certificatePem: certificatePem + authority.certificatePem, keyPem };
}

/** The pair in two files. Throws what reading throws. */
export const pairInFiles = (certificate: string, key: string): KeyAndCertificate => ({
  certificatePem: readFileSync(certificate, "utf8"),
  keyPem: readFileSync(key, "utf8"),
});
