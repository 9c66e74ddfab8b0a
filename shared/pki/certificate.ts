import "reflect-metadata";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  type Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { buildDate } from "./build-date.ts";
import { parseCertificate, type Validity } from "./certificate-facts.ts";
import { importSigningKey } from "./signing-key.ts";
import { dayMs, exportKey, generateKeys, pemText, randomSerial, signing } from "./x509.ts";

/** PEM texts: a certificate (with its chain, if any) and the PKCS #8 private key that belongs to it. */
export interface KeyAndCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface SubjectAltNames {
  readonly dnsNames?: readonly string[] | undefined;
  readonly ipAddresses?: readonly string[] | undefined;
}

export interface CertificateSubject extends SubjectAltNames {
  readonly commonName: string;
  /** Become groups of a client. */
  readonly organizations?: readonly string[] | undefined;
}

const caLifetimeDays = 20 * 365;
export const leafLifetimeDays = 365;

/** A validity that boards with a clock in the past accept too: it begins at the build date (or an hour before `now`, if
 *  the clock stands before that) and ends `days` after the later of the two. */
export function lenientValidity(days: number, now: Date = new Date()): Validity {
  const notBefore = new Date(Math.min(buildDate.getTime(), now.getTime() - 3_600_000));
  return { notBefore, notAfter: new Date(Math.max(buildDate.getTime(), now.getTime()) + days * dayMs) };
}

/** Makes a self-signed ECDSA P-256 authority. */
export async function createCertificateAuthority(
  commonName: string,
  now: Date = new Date(),
): Promise<KeyAndCertificate> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: nameOf({ commonName }),
    ...lenientValidity(caLifetimeDays, now),
    keys,
    signingAlgorithm: signing,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificatePem: pemText(certificate.toString("pem")), keyPem: await exportKey(keys.privateKey) };
}

/** Certifies the key of one authority by another, for as long as that other lasts: whoever trusts only `older` takes what
 *  `newer` has signed, if this certificate is shown with it. */
export async function crossCertify(older: KeyAndCertificate, newerPem: string): Promise<string> {
  const [issuer, newer] = [parseCertificate(older.certificatePem), parseCertificate(newerPem)];
  const certificate = await X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: newer.subjectName,
    issuer: issuer.subjectName,
    notBefore: newer.notBefore,
    notAfter: new Date(Math.min(newer.notAfter.getTime(), issuer.notAfter.getTime())),
    publicKey: newer.publicKey,
    ...(await importSigningKey(older.keyPem)),
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature, true),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await SubjectKeyIdentifierExtension.create(newer.publicKey),
    ],
  });
  return pemText(certificate.toString("pem"));
}

/** Makes a key and a certificate for it, signed by `authority`. */
export async function issueCertificate(
  authority: KeyAndCertificate,
  subject: CertificateSubject,
  usages: readonly string[],
  validity: Validity = lenientValidity(leafLifetimeDays),
): Promise<KeyAndCertificate> {
  const keys = await generateKeys();
  const certificatePem = await signPublicKey(authority, {
    publicKey: keys.publicKey,
    name: nameOf(subject),
    altNames: subject,
    extendedUsages: usages,
    keyUsageFlags: KeyUsageFlags.digitalSignature,
    validity,
  });
  return { certificatePem, keyPem: await exportKey(keys.privateKey) };
}

/** What a certificate is made of beside its issuer. */
export interface Signable {
  readonly publicKey: CryptoKey | Pkcs10CertificateRequest["publicKey"];
  readonly name: Name;
  readonly altNames?: SubjectAltNames;
  readonly altNamesExtension?: Extension | undefined;
  readonly extendedUsages: readonly string[];
  readonly keyUsageFlags: number;
  readonly validity: Validity;
}

/** A certificate for a key, by an authority. */
export async function signPublicKey(authority: KeyAndCertificate, signable: Signable): Promise<string> {
  const issuer = parseCertificate(authority.certificatePem);
  const altNames = signable.altNamesExtension ?? altNamesExtension(signable.altNames ?? {});
  const certificate = await X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: signable.name,
    issuer: issuer.subjectName,
    ...signable.validity,
    publicKey: signable.publicKey,
    ...(await importSigningKey(authority.keyPem)),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      ...(signable.keyUsageFlags ? [new KeyUsagesExtension(signable.keyUsageFlags, true)] : []),
      ...(signable.extendedUsages.length > 0 ? [new ExtendedKeyUsageExtension([...signable.extendedUsages])] : []),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...(altNames ? [altNames] : []),
    ],
  });
  return pemText(certificate.toString("pem"));
}

/** undefined: there are no alternative names. */
export function altNamesExtension(names: SubjectAltNames): SubjectAlternativeNameExtension | undefined {
  const items = [
    ...(names.dnsNames ?? []).map((value) => ({ type: "dns" as const, value })),
    ...(names.ipAddresses ?? []).map((value) => ({ type: "ip" as const, value })),
  ];
  return items.length > 0 ? new SubjectAlternativeNameExtension(items) : undefined;
}

export function nameOf(subject: CertificateSubject): Name {
  // One set per organisation, as Go's clients write them.
  return new Name([
    ...(subject.organizations ?? []).map((organization) => ({ O: [organization] })),
    { CN: [subject.commonName] },
  ]);
}
