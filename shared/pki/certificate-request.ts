import { messageOf } from "#shared/api/joined-errors.ts";
import "reflect-metadata";
import {
  KeyUsageFlags,
  PemConverter,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
} from "@peculiar/x509";
import {
  altNamesExtension,
  type CertificateSubject,
  type KeyAndCertificate,
  nameOf,
  signPublicKey,
} from "./certificate.ts";
import { altNamesOf, type NamedSubject, parseCertificate, subjectOf, type Validity } from "./certificate-facts.ts";
import { exportKey, generateKeys, pemText, signing } from "./x509.ts";

export interface CertificateRequest {
  readonly requestPem: string;
  readonly keyPem: string;
}

/** Makes a key and a PKCS #10 request for it. */
export async function createCertificateRequest(subject: CertificateSubject): Promise<CertificateRequest> {
  const keys = await generateKeys();
  const altNames = altNamesExtension(subject);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: nameOf(subject),
    keys,
    signingAlgorithm: signing,
    extensions: altNames ? [altNames] : [],
  });
  return { requestPem: pemText(request.toString("pem")), keyPem: await exportKey(keys.privateKey) };
}

/** The text is no PKCS #10 request, or its signature is wrong. */
export class CertificateRequestError extends Error {
  override readonly name = "CertificateRequestError";
}

/** What a PEM request asks for. Rejects with CertificateRequestError when it is no valid PKCS #10 or its signature is wrong. */
export async function parseCertificateRequest(pem: string): Promise<NamedSubject> {
  const request = requestFrom(pem);
  if (!(await verifyRequest(request))) throw new CertificateRequestError("the signature of the request is not valid");
  return { ...subjectOf(request.subjectName), ...altNamesOf(request.extensions) };
}

export interface SigningProfile {
  /** OIDs; empty for none. */
  readonly extendedUsages: readonly string[];
  /** X.509 key usage names as in certificates.k8s.io: `digital signature`, `key encipherment`, … */
  readonly keyUsages: readonly string[];
  readonly validity: Validity;
  /** Authority certificates are signed only where a signer says so. */
  readonly isAuthority?: boolean | undefined;
}

/** Signs what a request asks for (subject, alternative names, key), adding only what `profile` says. */
export async function signCertificateRequest(
  authority: KeyAndCertificate,
  requestPem: string,
  profile: SigningProfile,
): Promise<string> {
  const request = requestFrom(requestPem);
  const altNames = request.extensions.find((extension) => extension.type === "2.5.29.17");
  const caEnd = parseCertificate(authority.certificatePem).notAfter;
  const notAfter = new Date(Math.min(profile.validity.notAfter.getTime(), caEnd.getTime()));
  return signPublicKey(authority, {
    publicKey: request.publicKey,
    name: request.subjectName,
    altNamesExtension: altNames,
    extendedUsages: profile.extendedUsages,
    keyUsageFlags: keyUsageFlags(profile.keyUsages),
    validity: { notBefore: profile.validity.notBefore, notAfter },
  });
}

function requestFrom(pem: string): Pkcs10CertificateRequest {
  try {
    // In a text of several parts another reader, of those who approve it for instance, might find another request.
    if (pem.split("-----BEGIN ").length > 2) throw new Error("there must be one PEM block");
    const [block] = PemConverter.decodeWithHeaders(pem).filter(
      ({ type }) => type === "CERTIFICATE REQUEST" || type === "NEW CERTIFICATE REQUEST",
    );
    if (!block) throw new Error("PEM block type must be CERTIFICATE REQUEST");
    return new Pkcs10CertificateRequest(block.rawData);
  } catch (error) {
    throw new CertificateRequestError(messageOf(error), { cause: error });
  }
}

async function verifyRequest(request: Pkcs10CertificateRequest): Promise<boolean> {
  try {
    return await request.verify();
  } catch {
    // A key type or encoding that the crypto engine refuses is as good as a wrong signature.
    return false;
  }
}

const usageFlags: Readonly<Record<string, number>> = {
  "digital signature": KeyUsageFlags.digitalSignature,
  signing: KeyUsageFlags.digitalSignature,
  "content commitment": KeyUsageFlags.nonRepudiation,
  "key encipherment": KeyUsageFlags.keyEncipherment,
  "data encipherment": KeyUsageFlags.dataEncipherment,
  "key agreement": KeyUsageFlags.keyAgreement,
  "cert sign": KeyUsageFlags.keyCertSign,
  "crl sign": KeyUsageFlags.cRLSign,
  "encipher only": KeyUsageFlags.encipherOnly,
  "decipher only": KeyUsageFlags.decipherOnly,
};

function keyUsageFlags(usages: readonly string[]): number {
  return usages.reduce((flags, usage) => flags | (usageFlags[usage] ?? 0), 0);
}
