import { createPrivateKey, X509Certificate } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { readIfPresent } from "#shared/files/if-present.ts";
import { syncFolder, writeSecureFile } from "#shared/files/secure-file.ts";
import {
  type CertificateSubject,
  createCertificateAuthority,
  type KeyAndCertificate,
} from "#shared/pki/certificate.ts";
import { joinCertificates } from "#shared/pki/certificate-bundle.ts";
import {
  createServiceAccountKey,
  parseServiceAccountKeys,
  type ServiceAccountKey,
} from "#shared/pki/service-account-key.ts";

/** What all masters of a cluster share. */
export interface ClusterAuthorities {
  /** Signs servers, clients and boards: the one that join tokens pin. */
  readonly ca: KeyAndCertificate;
  /** Whom clients and servers trust, PEM: that CA first, and while it is rotated the next or the former one. */
  readonly trusted: string;
  /** The CA certified by those before it, PEM: shown with serving certificates to whoever knows only a former CA. */
  readonly crossCertificates: string;
  /** CAs that are trusted no more, PEM: a board that was away shows that it had a certificate of one. */
  readonly former: string;
  /** Signs what an API server shows to aggregated API servers. */
  readonly frontProxyCa: KeyAndCertificate;
  readonly frontProxyTrusted: string;
  /** The first signs. */
  readonly serviceAccountKeys: readonly ServiceAccountKey[];
}

/** A half-written or half-copied set of files: to go on would make a second cluster out of the first. */
export class PkiError extends Error {
  override readonly name = "PkiError";
}

/** Files of ClusterAuthorities below the PKI folder: what another master needs to be of the same cluster. */
export const authorityFiles = [
  "ca.crt",
  "ca.key",
  "front-proxy-ca.crt",
  "front-proxy-ca.key",
  "service-account.key",
] as const;

/** Files that are there while a CA is rotated, and after it (authority-rotation.ts). */
const rotationFiles = ["ca", "front-proxy-ca"].flatMap((name) =>
  ["next.crt", "next.key", "old.crt", "former.crt", "cross.crt"].map((part) => `${name}-${part}`),
);

export const allAuthorityFiles: readonly string[] = [...authorityFiles, ...rotationFiles];

/** Texts by name of file below the PKI folder. */
export type KeyFiles = Readonly<Record<string, string>>;

/** Those of the authorities' files that are in the folder. */
export async function readAuthorityFiles(folder: string): Promise<KeyFiles> {
  const files: Record<string, string> = {};
  for (const name of allAuthorityFiles) {
    const text = await readIfPresent(join(folder, name));
    if (text !== undefined) files[name] = text;
  }
  return files;
}

/** A whole set that is not yet in its places. */
const pendingFile = "pending-keys.json";

/** Puts a set of files in the place of the one that is there: all or, after a power cut, all at the next start. */
export async function replaceAuthorityFiles(folder: string, files: KeyFiles): Promise<void> {
  await authoritiesOf(files);
  await writeSecureFile(join(folder, pendingFile), JSON.stringify(files));
  await placePendingFiles(folder);
}

async function placePendingFiles(folder: string): Promise<void> {
  const pending = await readIfPresent(join(folder, pendingFile));
  if (pending === undefined) return;
  const files = JSON.parse(pending) as KeyFiles;
  for (const name of allAuthorityFiles) {
    const [path, text] = [join(folder, name), files[name]];
    if (text === undefined) await rm(path, { force: true });
    else if ((await readIfPresent(path)) !== text)
      await writeSecureFile(path, text, name.endsWith(".crt") ? 0o644 : 0o600);
  }
  await syncFolder(folder);
  await rm(join(folder, pendingFile));
}

/** The authorities of a whole set of files. Rejects with PkiError for one that lacks a part, or whose parts do not belong together. */
export async function authoritiesOf(files: KeyFiles): Promise<ClusterAuthorities> {
  const pairOf = (name: string): KeyAndCertificate => {
    const [certificatePem, keyPem] = [files[`${name}.crt`], files[`${name}.key`]];
    if (!certificatePem || !keyPem) throw new PkiError(`a set of keys lacks ${name}.crt or ${name}.key`);
    if (!new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem)))
      throw new PkiError(`in a set of keys, ${name}.key does not belong to ${name}.crt`);
    return { certificatePem, keyPem };
  };
  const trustedOf = (name: string): string =>
    joinCertificates(...["", "-next", "-old"].map((part) => files[`${name}${part}.crt`] ?? ""));
  const keys = files["service-account.key"];
  if (!keys) throw new PkiError("a set of keys lacks service-account.key");
  return {
    ca: pairOf("ca"),
    trusted: trustedOf("ca"),
    crossCertificates: files["ca-cross.crt"] ?? "",
    former: files["ca-former.crt"] ?? "",
    frontProxyCa: pairOf("front-proxy-ca"),
    frontProxyTrusted: trustedOf("front-proxy-ca"),
    serviceAccountKeys: parseServiceAccountKeys(keys),
  };
}

/** Loads the authorities from `folder`, or makes them there on the first start. */
export async function ensureAuthorities(folder: string, now: Date = new Date()): Promise<ClusterAuthorities> {
  await placePendingFiles(folder);
  await ensureAuthority(folder, "ca", "bramble-ca", now);
  await ensureAuthority(folder, "front-proxy-ca", "bramble-front-proxy-ca", now);
  const keyFile = join(folder, "service-account.key");
  if ((await readIfPresent(keyFile)) === undefined) await writeSecureFile(keyFile, createServiceAccountKey());
  return authoritiesOf(await readAuthorityFiles(folder));
}

/** Loads or makes `<file>.crt` and `<file>.key`. Rejects with PkiError for one without the other. */
export async function ensureAuthority(
  folder: string,
  file: string,
  commonName: CertificateSubject["commonName"],
  now: Date,
): Promise<void> {
  const [certificateFile, keyFile] = [join(folder, `${file}.crt`), join(folder, `${file}.key`)];
  const [certificatePem, keyPem] = await Promise.all([readIfPresent(certificateFile), readIfPresent(keyFile)]);
  if (certificatePem !== undefined && keyPem !== undefined) return;
  // The key is written first: a certificate without one means that somebody took the key away.
  if (certificatePem !== undefined) throw new PkiError(`${certificateFile} is there, but its key ${keyFile} is not`);
  const made = await createCertificateAuthority(commonName, now);
  await writeSecureFile(keyFile, made.keyPem);
  await writeSecureFile(certificateFile, made.certificatePem, 0o644);
}
