/**
 * How the cluster's keys are changed without anybody being shut out. Each step makes a whole set of key files out of the one
 * before; a step is taken when all masters and boards go by the last one.
 *
 *   settled ──introduce──► introduced ──switchOver──► switched ──finish──► settled
 *                          the next CA is trusted,     the next CA signs,     the former CA is
 *                          the present one signs       the former is trusted  trusted no more
 *
 * From the second step on, servers show the CA certified by its predecessor with their certificates, so that those who know
 * only a former CA (a board that was away, a pod that read ca.crt long ago, a laptop's kubeconfig) still know the cluster. What
 * ends with the last step is that certificates of clients by the former CA are taken.
 */
import { createCertificateAuthority, crossCertify } from "#shared/pki/certificate.ts";
import { joinCertificates } from "#shared/pki/certificate-bundle.ts";
import { createServiceAccountKey, parseServiceAccountKeys } from "#shared/pki/service-account-key.ts";
import { type KeyFiles, PkiError } from "./cluster-authorities.ts";

export type RotationStage = "settled" | "introduced" | "switched";

const authorities = ["ca", "front-proxy-ca"] as const;

export function rotationStage(files: KeyFiles): RotationStage {
  if (files["ca-next.crt"] !== undefined) return "introduced";
  return files["ca-old.crt"] !== undefined ? "switched" : "settled";
}

/** A new CA beside the present one. Names tell the CAs of a cluster apart, as who builds a chain goes by them. */
export async function introduceAuthorities(files: KeyFiles, now: Date): Promise<KeyFiles> {
  assertStage(files, "settled");
  const next: Record<string, string> = { ...files };
  for (const name of authorities) {
    const made = await createCertificateAuthority(`bramble-${name}-${Math.floor(now.getTime() / 1000)}`, now);
    next[`${name}-next.crt`] = made.certificatePem;
    next[`${name}-next.key`] = made.keyPem;
  }
  return next;
}

/** The new CA signs; the key of the former one is gone. */
export async function switchAuthorities(files: KeyFiles): Promise<KeyFiles> {
  assertStage(files, "introduced");
  const next: Record<string, string> = { ...files };
  for (const name of authorities) {
    const present = { certificatePem: files[`${name}.crt`] ?? "", keyPem: files[`${name}.key`] ?? "" };
    const nextPem = files[`${name}-next.crt`] ?? "";
    next[`${name}-cross.crt`] = joinCertificates(
      await crossCertify(present, nextPem),
      files[`${name}-cross.crt`] ?? "",
    );
    next[`${name}-old.crt`] = present.certificatePem;
    next[`${name}.crt`] = nextPem;
    next[`${name}.key`] = files[`${name}-next.key`] ?? "";
    delete next[`${name}-next.crt`];
    delete next[`${name}-next.key`];
  }
  return next;
}

/** Whether boards that were away may come back by certificates of the former CA, or (its key is in wrong hands) only by a join token. */
export type AwayBoards = "come-back" | "join-anew";

/** The former CA is trusted no more. */
export function finishRotation(files: KeyFiles, away: AwayBoards): KeyFiles {
  assertStage(files, "switched");
  const next: Record<string, string> = { ...files };
  for (const name of authorities) {
    const former = joinCertificates(files[`${name}-old.crt`] ?? "", files[`${name}-former.crt`] ?? "");
    delete next[`${name}-old.crt`];
    delete next[`${name}-former.crt`];
    if (away === "come-back") next[`${name}-former.crt`] = former;
    else delete next[`${name}-cross.crt`];
  }
  return next;
}

function assertStage(files: KeyFiles, wanted: RotationStage): void {
  const stage = rotationStage(files);
  if (stage !== wanted) throw new PkiError(`the CA is ${stage}, not ${wanted}`);
}

export type SigningStage = "settled" | "published" | "signing";

const keyFile = "service-account.key";

/**
 * The signing key of service account tokens: first the new key is published behind the present one, then it signs and the former
 * one only verifies, then the former is dropped.
 */
export function signingStage(files: KeyFiles): SigningStage {
  const [first, second] = parseServiceAccountKeys(files[keyFile] ?? "");
  if (!first || !second) return "settled";
  return second.privateKey ? "published" : "signing";
}

export function publishSigningKey(files: KeyFiles): KeyFiles {
  return { ...files, [keyFile]: `${files[keyFile]}${createServiceAccountKey()}` };
}

/** The private half of the former key is gone. */
export function switchSigningKey(files: KeyFiles): KeyFiles {
  const [former, next] = parseServiceAccountKeys(files[keyFile] ?? "");
  if (!former || !next?.privateKey) throw new PkiError("no new signing key is published");
  const nextPem = next.privateKey.export({ type: "pkcs8", format: "pem" });
  return { ...files, [keyFile]: `${nextPem}${former.publicKey.export({ type: "spki", format: "pem" })}` };
}

/** Tokens by a former key are refused from now on. */
export function dropFormerSigningKeys(files: KeyFiles): KeyFiles {
  const [present] = parseServiceAccountKeys(files[keyFile] ?? "");
  if (!present?.privateKey) throw new PkiError("there is no signing key");
  return { ...files, [keyFile]: String(present.privateKey.export({ type: "pkcs8", format: "pem" })) };
}
