import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCertificateRequest, signCertificateRequest } from "./certificate-request.ts";
import { signerNames, signingProfile } from "./signers.ts";
import { importSigningKey } from "./signing-key.ts";

const opensslKeys: readonly (readonly [string, readonly string[]])[] = [
  ["RSA as kubeadm writes it", ["genrsa", "-traditional", "2048"]],
  ["RSA in PKCS #8", ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]],
  ["P-256 that says its algorithm", ["ecparam", "-name", "prime256v1", "-genkey", "-noout"]],
  ["P-384", ["ecparam", "-name", "secp384r1", "-genkey", "-noout"]],
  ["P-521 in PKCS #8", ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]],
];

function openssl(args: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["openssl", ...args], { stdin: "ignore" });
  if (exitCode !== 0) throw new Error(stderr.toString());
  return stdout.toString();
}

test.each(opensslKeys)("an authority whose key is %s signs what a request asks for", async (_, generate) => {
  const folder = mkdtempSync(join(tmpdir(), "signing-key-"));
  try {
    const keyFile = join(folder, "ca.key");
    const keyPem = openssl(generate);
    await Bun.write(keyFile, keyPem);
    openssl(["req", "-x509", "-new", "-key", keyFile, "-subj", "/CN=ours", "-out", join(folder, "ca.crt")]);
    const authority = { certificatePem: readFileSync(join(folder, "ca.crt"), "utf8"), keyPem };
    const { requestPem } = await createCertificateRequest({ commonName: "anna" });
    const profile = signingProfile(signerNames.apiClient, ["client auth"], undefined, new Date());
    const signed = new X509Certificate(await signCertificateRequest(authority, requestPem, profile));
    const issuer = new X509Certificate(authority.certificatePem);
    expect([signed.subject, signed.checkIssued(issuer), signed.verify(issuer.publicKey)]).toEqual([
      "CN=anna",
      true,
      true,
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a key that signs no certificates here is named", async () => {
  await expect(importSigningKey(openssl(["genpkey", "-algorithm", "ed25519"]))).rejects.toThrow(
    "an authority signs with RSA or ECDSA, not with ed25519",
  );
});
