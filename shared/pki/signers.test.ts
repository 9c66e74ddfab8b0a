import { describe, expect, test } from "bun:test";
import { webcrypto } from "node:crypto";
import { Name, Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { buildDate } from "./build-date.ts";
import { createCertificateAuthority } from "./certificate.ts";
import { certificateSubject, type NamedSubject, parseCertificate } from "./certificate-facts.ts";
import { createCertificateRequest, parseCertificateRequest, signCertificateRequest } from "./certificate-request.ts";
import { requestProblem, type SignerName, signerNames, signingProfile } from "./signers.ts";

const asked = (more: Partial<NamedSubject> = {}): NamedSubject => ({
  commonName: "system:node:a",
  organizations: ["system:nodes"],
  dnsNames: [],
  ipAddresses: [],
  emailAddresses: [],
  uris: [],
  otherSubjectParts: [],
  ...more,
});
const client = ["digital signature", "client auth"];
const serving = ["digital signature", "key encipherment", "server auth"];
const { apiClient, kubeletClient, kubeletServing, legacyUnknown } = signerNames;

describe("requestProblem", () => {
  const cases: [SignerName, NamedSubject, string[], string | undefined][] = [
    [kubeletClient, asked(), client, undefined],
    [kubeletClient, asked(), [...client, "key encipherment"], undefined],
    [
      kubeletClient,
      asked(),
      [...client, "server auth"],
      "usages did not match [client auth digital signature key encipherment]",
    ],
    [kubeletClient, asked({ organizations: ["system:masters"] }), client, "subject organization is not system:nodes"],
    [
      kubeletClient,
      asked({ organizations: ["system:nodes", "x"] }),
      client,
      "subject organization is not system:nodes",
    ],
    [kubeletClient, asked({ dnsNames: ["a"] }), client, "DNS subjectAltNames are not allowed"],
    [kubeletClient, asked({ commonName: "anna" }), client, "subject common name does not begin with system:node:"],
    [kubeletServing, asked({ ipAddresses: ["10.0.0.1"] }), serving, undefined],
    [kubeletServing, asked(), serving, "DNS or IP subjectAltName is required"],
    [kubeletServing, asked({ dnsNames: ["a"], uris: ["u"] }), serving, "URI subjectAltNames are not allowed"],
    [apiClient, asked({ commonName: "anna", organizations: [] }), ["client auth"], undefined],
    [apiClient, asked(), ["server auth"], "invalid usage for client certificate: server auth"],
    [apiClient, asked(), ["digital signature"], "missing required usage for client certificate: client auth"],
    [legacyUnknown, asked(), ["cert sign"], undefined],
  ];
  test.each(cases)("%s %j %j", (signer, request, usages, problem) => {
    expect(requestProblem(signer, request, usages)).toBe(problem);
  });
});

describe("a request that two readers could take for different ones", () => {
  test("of several common names the last counts, as for who approves it by kubectl", async () => {
    const keys = (await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
      "sign",
      "verify",
    ])) as CryptoKeyPair;
    const request = await Pkcs10CertificateRequestGenerator.create({
      name: new Name([{ CN: ["system:admin"] }, { O: ["developers"] }, { CN: ["anna"] }]),
      keys,
      signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    });
    const pem = request.toString("pem");
    expect((await parseCertificateRequest(pem)).commonName).toBe("anna");
    const authority = await createCertificateAuthority("ca");
    const profile = signingProfile(apiClient, ["client auth"], undefined, new Date());
    const signed = await signCertificateRequest(authority, pem, profile);
    expect(certificateSubject(signed).commonName).toBe("anna");
  });

  test("a text of several parts is none", async () => {
    const { requestPem } = await createCertificateRequest({ commonName: "anna" });
    for (const beside of ["FOO", "CERTIFICATE REQUEST"])
      await expect(
        parseCertificateRequest(requestPem.replaceAll("CERTIFICATE REQUEST", beside) + requestPem),
      ).rejects.toThrow("there must be one PEM block");
  });
});

describe("signingProfile", () => {
  const now = new Date("2027-05-01T12:00:00Z");
  const validity = (signer: SignerName, seconds?: number) => signingProfile(signer, client, seconds, now).validity;

  test("boards' certificates begin at the build date, others five minutes ago", () => {
    expect(validity(kubeletClient).notBefore).toEqual(buildDate);
    expect(validity(apiClient).notBefore).toEqual(new Date("2027-05-01T11:55:00Z"));
  });

  test("last as long as was asked, within ten minutes and a year", () => {
    expect(validity(apiClient, 3600).notAfter).toEqual(new Date("2027-05-01T13:00:00Z"));
    expect(validity(apiClient, 1).notAfter).toEqual(new Date("2027-05-01T12:10:00Z"));
    expect(validity(apiClient, 10 ** 9).notAfter).toEqual(new Date("2028-04-30T11:55:00Z"));
  });
});

test("a signed certificate has what was asked for and no more", async () => {
  const ca = await createCertificateAuthority("ca");
  const { requestPem } = await createCertificateRequest({
    commonName: "system:node:a",
    organizations: ["system:nodes"],
    ipAddresses: ["10.0.0.1", "fd00::1"],
  });
  const profile = signingProfile(kubeletServing, serving, undefined, new Date());
  const certificate = parseCertificate(await signCertificateRequest(ca, requestPem, profile));
  expect(await certificate.verify({ publicKey: await parseCertificate(ca.certificatePem).publicKey.export() })).toBe(
    true,
  );
  expect(certificate.subject).toContain("CN=system:node:a");
  expect(certificate.extensions.map(({ type }) => type).sort()).toEqual(
    ["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.35", "2.5.29.37"].sort(),
  );
});

test("a request whose signature does not fit is refused", async () => {
  const [one, other] = await Promise.all(["a", "b"].map((commonName) => createCertificateRequest({ commonName })));
  const bytes = (pem = ""): Buffer => Buffer.from(pem.replace(/-----[A-Z ]+-----|\s/g, ""), "base64");
  const forged = Buffer.concat([bytes(one?.requestPem).subarray(0, -20), bytes(other?.requestPem).subarray(-20)]);
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${forged.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  await expect(parseCertificateRequest(pem)).rejects.toThrow();
  await expect(parseCertificateRequest("nonsense")).rejects.toThrow("PEM block type must be CERTIFICATE REQUEST");
});
