import { expect, test } from "bun:test";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages, parseCertificate } from "#shared/pki/certificate-facts.ts";
import { CertificateDurations, isHonored } from "./certificate-durations.ts";

const authority = await createCertificateAuthority("test");
const { certificatePem } = await issueCertificate(authority, { commonName: "a" }, [extendedKeyUsages.clientAuth]);
const { notBefore, notAfter } = parseCertificate(certificatePem);
const given_s = (notAfter.getTime() - notBefore.getTime()) / 1000;

const request = (spec: object, certificate = ""): CertificateSigningRequest =>
  ({ metadata: { name: "a" }, spec: { signerName: "example.com/a", ...spec }, status: { certificate } }) as never;
const issued = Buffer.from(certificatePem).toString("base64");

/** Of each counter, by signer. */
async function counted(spec: object, change: { before?: string; after?: string } = {}): Promise<unknown> {
  const reported: string[] = [];
  const durations = new CertificateDurations((message) => reported.push(message));
  const { before = "", after = issued } = change;
  await durations.follow({ before: request(spec, before), after: request(spec, after) });
  expect(reported).toHaveLength(after === "bm9uZQ==" ? 1 : 0);
  return durations
    .families()
    .map(({ samples }) => samples.map(({ labels, value }) => `${labels?.["signerName"]}: ${value}`));
}

test("requests that ask for a lifetime are counted as their certificates come, and those that got it", async () => {
  const known = "kubernetes.io/kubelet-serving";
  expect(await counted({ expirationSeconds: given_s })).toEqual([["other: 1"], ["other: 1"]]);
  expect(await counted({ expirationSeconds: 600, signerName: known })).toEqual([[`${known}: 1`], []]);
  expect(await counted({})).toEqual([[], []]);
  expect(await counted({ expirationSeconds: given_s }, { before: issued })).toEqual([[], []]);
  expect(await counted({ expirationSeconds: given_s }, { after: "" })).toEqual([[], []]);
  expect(await counted({ expirationSeconds: given_s }, { after: "bm9uZQ==" })).toEqual([["other: 1"], []]);
});

test("what is dated back, and a twentieth, counts as what was asked for", () => {
  expect(isHonored(3600, 3600 + 479)).toBeTrue();
  expect(isHonored(3600, 3600 - 480)).toBeFalse();
});
