import { afterAll, beforeAll, expect, test } from "bun:test";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { type CredentialFiles, filesOf } from "./given-credentials.ts";
import { ensureMasterPki, type MasterPki } from "./master-pki.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-given-"));
const path = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(async () => {
  const ca = await createCertificateAuthority("elsewhere");
  writeFileSync(path("ca.crt"), ca.certificatePem);
  for (const name of ["one", "two"]) {
    const pair = await issueCertificate(ca, { commonName: name }, [extendedKeyUsages.serverAuth]);
    writeFileSync(path(`${name}.crt`), pair.certificatePem);
    writeFileSync(path(`${name}.key`), pair.keyPem);
  }
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  writeFileSync(path("sa.key"), privateKey.export({ type: "pkcs1", format: "pem" }));
  writeFileSync(path("sa.pub"), publicKey.export({ type: "spki", format: "pem" }));
});

const pkiWith = (given: Partial<CredentialFiles>): Promise<MasterPki> =>
  ensureMasterPki({
    dataDir: path("data"),
    kubeconfigPath: path("admin.yaml"),
    names: { hostNames: [], addresses: [], extra: [], serviceIp: "10.43.0.1", clusterDomain: "cluster.local" },
    server: "https://127.0.0.1:6443",
    given: { clientCaFile: "", ...given },
  });

test("what was made elsewhere takes the place of what a master makes", async () => {
  const own = await pkiWith({});
  const { door, authorities, certificates } = await pkiWith({
    clientCaFile: path("ca.crt"),
    tlsCertFile: path("one.crt"),
    tlsPrivateKeyFile: path("one.key"),
    serviceAccountSigningKeyFile: path("sa.key"),
    serviceAccountKeyFile: [path("sa.pub")],
  });
  expect(door.cert).not.toBe(own.door.cert);
  // Boards have their certificates by the cluster's own.
  expect(door.ca).toContain(own.authorities.trusted.trim());
  expect(door.ca.length).toBeGreaterThan(own.door.ca.length);
  expect(certificates).toEqual(own.certificates);
  expect(authorities.serviceAccountKeys.map(({ algorithm }) => algorithm)).toEqual(["RS256"]);
});

test("a pair in the folder of certificates is shown where no other is named", async () => {
  const certDir = path("certificates");
  mkdirSync(certDir);
  const own = await pkiWith({ certDir });
  expect(own.door.cert).toBe((await pkiWith({})).door.cert);

  copyFileSync(path("one.crt"), join(certDir, "apiserver.crt"));
  await expect(pkiWith({ certDir })).rejects.toThrow(join(certDir, "apiserver.key"));

  copyFileSync(path("one.key"), join(certDir, "apiserver.key"));
  const two = { tlsCertFile: path("two.crt"), tlsPrivateKeyFile: path("two.key") };
  expect((await pkiWith({ certDir })).door.cert).toBe(readFileSync(path("one.crt"), "utf8"));
  expect((await pkiWith({ certDir, ...two })).door.cert).toBe(readFileSync(path("two.crt"), "utf8"));
  expect(filesOf({ clientCaFile: "", certDir })).toEqual([
    join(certDir, "apiserver.crt"),
    join(certDir, "apiserver.key"),
  ]);
});

test("a certificate names the key of service accounts that it is for", async () => {
  const { authorities } = await pkiWith({
    serviceAccountSigningKeyFile: path("one.key"),
    serviceAccountKeyFile: [path("one.crt"), path("two.crt")],
  });
  const [signer, other, ...more] = authorities.serviceAccountKeys;
  expect(signer?.privateKey).toBeDefined();
  expect(other?.publicKey.equals(new X509Certificate(readFileSync(path("two.crt"))).publicKey)).toBe(true);
  expect(more).toEqual([]);
});

test("what does not fit is refused, with the settings that name it", async () => {
  const refused = async (given: Partial<CredentialFiles>, why: string): Promise<void> => {
    await expect(pkiWith(given)).rejects.toThrow(why);
  };
  await refused({ tlsCertFile: path("one.crt") }, "tls-cert-file and tls-private-key-file must be specified together");
  await refused({ tlsCertFile: path("one.crt"), tlsPrivateKeyFile: path("two.key") }, "is not the key of");
  await refused({ clientCaFile: path("sa.pub") }, "client-ca-file");
  await refused({ clientCaFile: path("none") }, "client-ca-file");
  await refused({ serviceAccountKeyFile: [path("sa.pub")] }, "service-account-signing-key-file must be specified");
  await refused({ serviceAccountSigningKeyFile: path("sa.pub") }, "holds no private key");
});

test("only the files of certificates and keys are followed", () => {
  const settings = { clientCaFile: "/a", tlsCertFile: "", serviceAccountKeyFile: ["/b", "/c"], dataDir: "/d" };
  expect(filesOf(settings)).toEqual(["/a", "/b", "/c"]);
});
