import { afterAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import { authorityAnnotations } from "#shared/pki/authority-annotations.ts";
import { bundleFingerprints, splitCertificates } from "#shared/pki/certificate-bundle.ts";
import { certificateFingerprint } from "#shared/pki/certificate-facts.ts";
import { parseServiceAccountKeys } from "#shared/pki/service-account-key.ts";
import {
  dropFormerSigningKeys,
  finishRotation,
  introduceAuthorities,
  publishSigningKey,
  rotationStage,
  signingStage,
  switchAuthorities,
  switchSigningKey,
} from "./authority-rotation.ts";
import { authoritiesOf, ensureAuthorities, readAuthorityFiles, replaceAuthorityFiles } from "./cluster-authorities.ts";
import { appliedAnnotation, keysDigest, keysOf, keysSecret } from "./cluster-keys.ts";
import { keysSealIn } from "./keys-seal.ts";
import { boardsBehind, mastersBehind } from "./rotation-progress.ts";

const folder = await mkdtemp(join(tmpdir(), "authority-rotation-"));
afterAll(() => rm(folder, { recursive: true }));
await ensureAuthorities(folder);
const settled = await readAuthorityFiles(folder);
const now = new Date("2027-01-01");
const introduced = await introduceAuthorities(settled, now);
const switched = await switchAuthorities(introduced);

describe("rotating the CA", () => {
  test("first trusts both and signs by the present one", async () => {
    expect([settled, introduced, switched].map(rotationStage)).toEqual(["settled", "introduced", "switched"]);
    const { ca, trusted } = await authoritiesOf(introduced);
    expect(ca.certificatePem).toBe(settled["ca.crt"] ?? "");
    expect(splitCertificates(trusted)).toEqual([settled["ca.crt"] ?? "", introduced["ca-next.crt"] ?? ""]);
  });

  test("then signs by the new one, certified by the former, whose key is gone", async () => {
    const { ca, trusted, crossCertificates } = await authoritiesOf(switched);
    expect(ca.certificatePem).toBe(introduced["ca-next.crt"] ?? "");
    expect(splitCertificates(trusted)).toEqual([ca.certificatePem, settled["ca.crt"] ?? ""]);
    const cross = new X509Certificate(crossCertificates);
    expect(cross.verify(new X509Certificate(settled["ca.crt"] ?? "").publicKey)).toBe(true);
    expect(cross.subject).toBe(new X509Certificate(ca.certificatePem).subject);
    expect(JSON.stringify(switched)).not.toContain(JSON.stringify(settled["ca.key"]).slice(1, -1));
  });

  test("at last trusts the new one alone, and remembers the former unless it is in wrong hands", async () => {
    const finished = await authoritiesOf(finishRotation(switched, "come-back"));
    expect(finished.trusted).toBe(finished.ca.certificatePem);
    expect(finished.former).toBe(settled["ca.crt"] ?? "");
    const stolen = await authoritiesOf(finishRotation(switched, "join-anew"));
    expect([stolen.former, stolen.crossCertificates]).toEqual(["", ""]);
  });

  test("a second time leads from the first CA to the third by two certificates", async () => {
    const second = await introduceAuthorities(finishRotation(switched, "come-back"), new Date("2028-01-01"));
    const { crossCertificates } = await authoritiesOf(await switchAuthorities(second));
    const [newer, older] = splitCertificates(crossCertificates).map((pem) => new X509Certificate(pem));
    expect(newer?.issuer).toBe(older?.subject ?? "");
    expect(older?.issuer).toBe(new X509Certificate(settled["ca.crt"] ?? "").subject);
  });

  test("takes no step out of turn", async () => {
    await expect(introduceAuthorities(switched, now)).rejects.toThrow("the CA is switched, not settled");
    await expect(switchAuthorities(settled)).rejects.toThrow("the CA is settled, not introduced");
    expect(() => finishRotation(introduced, "come-back")).toThrow("the CA is introduced, not switched");
  });
});

test("the signing key: published, then signing, then alone", () => {
  const published = publishSigningKey(settled);
  const signing = switchSigningKey(published);
  expect([settled, published, signing].map(signingStage)).toEqual(["settled", "published", "signing"]);
  const ids = (files: Readonly<Record<string, string>>): string[] =>
    parseServiceAccountKeys(files["service-account.key"] ?? "").map(({ keyId }) => keyId);
  const [former, next] = ids(published);
  expect(ids(settled)).toEqual([former ?? ""]);
  expect(ids(signing)).toEqual([next ?? "", former ?? ""]);
  const keys = parseServiceAccountKeys(signing["service-account.key"] ?? "");
  expect(keys.map(({ privateKey }) => privateKey !== undefined)).toEqual([true, false]);
  expect(ids(dropFormerSigningKeys(signing))).toEqual([next ?? ""]);
});

describe("a set of key files", () => {
  test("comes whole after a power cut in the midst of it", async () => {
    await writeFile(join(folder, "pending-keys.json"), JSON.stringify(switched));
    // As if the cut had come after the first file.
    await writeFile(join(folder, "ca.crt"), switched["ca.crt"] ?? "");
    const { ca } = await ensureAuthorities(folder);
    expect(ca.keyPem).toBe(switched["ca.key"] ?? "");
    expect(await readAuthorityFiles(folder)).toEqual(switched);
    await replaceAuthorityFiles(folder, finishRotation(switched, "come-back"));
    expect(Object.keys(await readAuthorityFiles(folder))).not.toContain("ca-old.crt");
  });

  test("is refused when its parts do not belong together, and nothing is touched", async () => {
    const before = await readFile(join(folder, "ca.crt"), "utf8");
    const mixed = { ...settled, "ca.key": switched["ca.key"] ?? "" };
    await expect(replaceAuthorityFiles(folder, mixed)).rejects.toThrow("ca.key does not belong to ca.crt");
    expect(await readFile(join(folder, "ca.crt"), "utf8")).toBe(before);
  });

  test("travels in a Secret, and masters say which they go by", () => {
    const seal = keysSealIn(join(folder, "data"));
    const secret = keysSecret(switched, seal);
    expect(keysOf(secret, seal)).toEqual(switched);
    // Who may read Secrets does not have the keys by that.
    const texts = Object.values(secret.data ?? {}).map((text) => Buffer.from(text, "base64").toString());
    expect(texts.filter((text) => text.includes("-----BEGIN"))).toEqual([]);
    const open = Object.entries(switched).map(([name, text]) => [name, Buffer.from(text).toString("base64")]);
    expect(keysOf({ ...secret, data: Object.fromEntries(open) }, seal)).toEqual(switched);
    const annotations = { [appliedAnnotation("fd00::1")]: keysDigest(switched), [appliedAnnotation("10.0.0.2")]: "x" };
    const noted = { ...secret, metadata: { ...secret.metadata, annotations } };
    expect(mastersBehind(noted, seal, ["fd00::1", "10.0.0.2", "10.0.0.3"])).toEqual(["10.0.0.2", "10.0.0.3"]);
  });
});

test("boards that are ready are waited for, others are named", async () => {
  const { trusted } = await authoritiesOf(introduced);
  const [old = "", next = ""] = bundleFingerprints(trusted);
  const node = (name: string, ready: "True" | "Unknown", annotations: Record<string, string>): Node => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, annotations },
    spec: {},
    status: { conditions: [{ type: "Ready", status: ready }] },
  });
  const nodes = [
    node("done", "True", authorityAnnotations(trusted, old)),
    node("late", "True", authorityAnnotations(settled["ca.crt"] ?? "", old)),
    node("away", "Unknown", {}),
  ];
  expect(boardsBehind(nodes, next, "isTrusted")).toEqual({ behind: ["late"], away: ["away"] });
  expect(boardsBehind(nodes, old, "isIssuer")).toEqual({ behind: [], away: ["away"] });
  expect(certificateFingerprint(settled["ca.crt"] ?? "")).toBe(old);
});
