import { join } from "node:path";
import {
  type CertificateSubject,
  createCertificateAuthority,
  type KeyAndCertificate,
} from "#shared/pki/certificate.ts";
import { readIfPresent, writeSecureFile } from "#shared/pki/secure-file.ts";
import {
  createServiceAccountKey,
  parseServiceAccountKeys,
  type ServiceAccountKey,
} from "#shared/pki/service-account-key.ts";

/** What all masters of a cluster share. */
export interface ClusterAuthorities {
  /** Signs servers, clients and boards: the one that join tokens pin. */
  readonly ca: KeyAndCertificate;
  /** Signs what an API server shows to aggregated API servers. */
  readonly frontProxyCa: KeyAndCertificate;
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

/** Loads the authorities from `folder`, or makes them there on the first start. */
export async function ensureAuthorities(folder: string, now: Date = new Date()): Promise<ClusterAuthorities> {
  const ca = await ensureAuthority(folder, "ca", "bramble-ca", now);
  const frontProxyCa = await ensureAuthority(folder, "front-proxy-ca", "bramble-front-proxy-ca", now);
  const keyFile = join(folder, "service-account.key");
  let keys = await readIfPresent(keyFile);
  if (keys === undefined) {
    keys = createServiceAccountKey();
    await writeSecureFile(keyFile, keys);
  }
  return { ca, frontProxyCa, serviceAccountKeys: parseServiceAccountKeys(keys) };
}

async function ensureAuthority(
  folder: string,
  file: string,
  commonName: CertificateSubject["commonName"],
  now: Date,
): Promise<KeyAndCertificate> {
  const [certificateFile, keyFile] = [join(folder, `${file}.crt`), join(folder, `${file}.key`)];
  const [certificatePem, keyPem] = await Promise.all([readIfPresent(certificateFile), readIfPresent(keyFile)]);
  if (certificatePem !== undefined && keyPem !== undefined) return { certificatePem, keyPem };
  // The key is written first: a certificate without one means that somebody took the key away.
  if (certificatePem !== undefined) throw new PkiError(`${certificateFile} is there, but its key ${keyFile} is not`);
  const made = await createCertificateAuthority(commonName, now);
  await writeSecureFile(keyFile, made.keyPem);
  await writeSecureFile(certificateFile, made.certificatePem, 0o644);
  return made;
}
