import "reflect-metadata";
import { createHash, webcrypto } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  PemConverter,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { buildDate } from "./build-date.ts";
import { importSigningKey } from "./signing-key.ts";

cryptoProvider.set(webcrypto as unknown as Crypto);

const ecdsa = { name: "ECDSA", namedCurve: "P-256" } as const;
const signing = { name: "ECDSA", hash: "SHA-256" } as const;

/** PEM texts: a certificate (with its chain, if any) and the PKCS #8 private key that belongs to it. */
export interface KeyAndCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface SubjectAltNames {
  readonly dnsNames?: readonly string[] | undefined;
  readonly ipAddresses?: readonly string[] | undefined;
}

/** Extended key usages as RFC 5280 numbers them. */
export const extendedKeyUsages = { serverAuth: "1.3.6.1.5.5.7.3.1", clientAuth: "1.3.6.1.5.5.7.3.2" } as const;
/** In the place of these: whatever is asked for. */
export const anyUsage = "2.5.29.37.0";

export interface CertificateSubject extends SubjectAltNames {
  readonly commonName: string;
  /** Become groups of a client. */
  readonly organizations?: readonly string[] | undefined;
}

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const dayMs = 86_400_000;
const caLifetimeDays = 20 * 365;
export const leafLifetimeDays = 365;
/** A leaf is renewed when less than this remains of it. */
const renewBeforeDays = 90;

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
  const keys = await webcrypto.subtle.generateKey(ecdsa, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: nameOf({ commonName }),
    ...lenientValidity(caLifetimeDays, now),
    keys: keys as CryptoKeyPair,
    signingAlgorithm: signing,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey as CryptoKey),
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
  const keys = await webcrypto.subtle.generateKey(ecdsa, true, ["sign", "verify"]);
  const certificatePem = await signPublicKey(authority, {
    publicKey: keys.publicKey as CryptoKey,
    name: nameOf(subject),
    altNames: subject,
    extendedUsages: usages,
    keyUsageFlags: KeyUsageFlags.digitalSignature,
    validity,
  });
  return { certificatePem, keyPem: await exportKey(keys.privateKey) };
}

export interface CertificateRequest {
  readonly requestPem: string;
  readonly keyPem: string;
}

/** Makes a key and a PKCS #10 request for it. */
export async function createCertificateRequest(subject: CertificateSubject): Promise<CertificateRequest> {
  const keys = await webcrypto.subtle.generateKey(ecdsa, true, ["sign", "verify"]);
  const altNames = altNamesExtension(subject);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: nameOf(subject),
    keys: keys as CryptoKeyPair,
    signingAlgorithm: signing,
    extensions: altNames ? [altNames] : [],
  });
  return { requestPem: pemText(request.toString("pem")), keyPem: await exportKey(keys.privateKey) };
}

/** What a PKCS #10 request asks for, its signature checked. */
export interface ParsedRequest {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly uris: readonly string[];
  /** Subject parts other than CN and O; signers that map a subject to a user refuse them. */
  readonly otherSubjectParts: readonly string[];
}

export class CertificateRequestError extends Error {
  override readonly name = "CertificateRequestError";
}

/** Reads a PEM request. Throws CertificateRequestError when it is no valid PKCS #10 or its signature is wrong. */
export async function parseCertificateRequest(pem: string): Promise<ParsedRequest> {
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

/** The first certificate of a PEM text. */
export function parseCertificate(pem: string): X509Certificate {
  return new X509Certificate(pem);
}

/** The parts of a certificate that say who may do what with it. */
export interface CertificateFacts extends Validity {
  readonly subjectName: Name;
  /** OIDs; empty when the certificate does not say. */
  readonly extendedUsages: readonly string[];
  /** Lower-case hex SHA-256 of the DER. */
  readonly fingerprint: string;
}

export function parseCertificateDer(der: Uint8Array): CertificateFacts {
  const certificate = new X509Certificate(new Uint8Array(der));
  const usages = certificate.getExtension(ExtendedKeyUsageExtension)?.usages ?? [];
  return {
    subjectName: certificate.subjectName,
    extendedUsages: usages.map(String),
    fingerprint: createHash("sha256").update(der).digest("hex"),
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
  };
}

/** What such a certificate may be restricted by and is looked at for: usages, and what it may sign. */
const understoodExtensions = new Set(["2.5.29.15", "2.5.29.19", "2.5.29.37"]);

/** Whether a certificate may stand between a client's and an authority, with `below` more of its kind between itself and the
 *  client's. One that restricts in ways that are not looked at here may not. */
export function mayIssueClients(der: Uint8Array, below: number, now: Date): boolean {
  const certificate = new X509Certificate(new Uint8Array(der));
  const constraints = certificate.getExtension(BasicConstraintsExtension);
  const keyUsages = certificate.getExtension(KeyUsagesExtension);
  const usages = certificate.getExtension(ExtendedKeyUsageExtension)?.usages.map(String);
  return (
    constraints?.ca === true &&
    below <= (constraints.pathLength ?? Number.POSITIVE_INFINITY) &&
    (!keyUsages || (keyUsages.usages & KeyUsageFlags.keyCertSign) !== 0) &&
    (!usages || usages.includes(extendedKeyUsages.clientAuth) || usages.includes(anyUsage)) &&
    certificate.notBefore <= now &&
    now <= certificate.notAfter &&
    certificate.extensions.every(({ critical, type }) => !critical || understoodExtensions.has(type))
  );
}

/** Lower-case hex SHA-256 of the certificate's DER: what a join token pins. */
export function certificateFingerprint(pem: string): string {
  return createHash("sha256")
    .update(Buffer.from(parseCertificate(pem).rawData))
    .digest("hex");
}

/** Whether `certificatePem` bears the name of the authority and the mark of its key. No signature is checked: this tells
 *  one's own old files from those of another cluster, it is not for deciding whom to trust. */
export function isIssuedBy(certificatePem: string, authorityPem: string): boolean {
  const authority = parseCertificate(authorityPem);
  const certificate = parseCertificate(certificatePem);
  const marked = certificate.getExtension(AuthorityKeyIdentifierExtension)?.keyId;
  const own = authority.getExtension(SubjectKeyIdentifierExtension)?.keyId;
  return certificate.issuer === authority.subject && marked !== undefined && marked === own;
}

/** The names in a certificate. */
export function certificateSubject(
  pem: string,
): Pick<ParsedRequest, "commonName" | "organizations" | "dnsNames" | "ipAddresses"> {
  const certificate = parseCertificate(pem);
  return { ...subjectOf(certificate.subjectName), ...altNamesOf(certificate.extensions) };
}

/** When a certificate should be replaced: 90 days, or a quarter of its life if that is shorter, before its end. */
export function renewalTime(pem: string): Date {
  const { notBefore, notAfter } = parseCertificate(pem);
  const lead_ms = Math.min(renewBeforeDays * dayMs, (notAfter.getTime() - notBefore.getTime()) / 4);
  return new Date(notAfter.getTime() - lead_ms);
}

export function subjectOf(name: Name): Pick<ParsedRequest, "commonName" | "organizations" | "otherSubjectParts"> {
  const otherSubjectParts = name
    .toJSON()
    .flatMap((part) => Object.keys(part))
    .filter((part) => part !== "CN" && part !== "O");
  return {
    // Of several the last, as Go has it: whoever approves a request, by kubectl for instance, must see the name that counts here.
    commonName: name.getField("CN").at(-1) ?? "",
    organizations: name.getField("O"),
    otherSubjectParts,
  };
}

function altNamesOf(extensions: readonly Extension[]): {
  dnsNames: string[];
  ipAddresses: string[];
  emailAddresses: string[];
  uris: string[];
} {
  const found = extensions.find((extension) => extension.type === "2.5.29.17");
  const names = found ? new SubjectAlternativeNameExtension(found.rawData).names.items : [];
  const of = (type: string) => names.filter((name) => name.type === type).map((name) => name.value);
  return { dnsNames: of("dns"), ipAddresses: of("ip"), emailAddresses: of("email"), uris: of("url") };
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
    throw new CertificateRequestError(error instanceof Error ? error.message : String(error), { cause: error });
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

interface Signable {
  readonly publicKey: CryptoKey | Pkcs10CertificateRequest["publicKey"];
  readonly name: Name;
  readonly altNames?: SubjectAltNames;
  readonly altNamesExtension?: Extension | undefined;
  readonly extendedUsages: readonly string[];
  readonly keyUsageFlags: number;
  readonly validity: Validity;
}

async function signPublicKey(authority: KeyAndCertificate, signable: Signable): Promise<string> {
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

function altNamesExtension(names: SubjectAltNames): SubjectAlternativeNameExtension | undefined {
  const items = [
    ...(names.dnsNames ?? []).map((value) => ({ type: "dns" as const, value })),
    ...(names.ipAddresses ?? []).map((value) => ({ type: "ip" as const, value })),
  ];
  return items.length > 0 ? new SubjectAlternativeNameExtension(items) : undefined;
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

function nameOf(subject: CertificateSubject): Name {
  // One set per organisation, as Go's clients write them.
  return new Name([
    ...(subject.organizations ?? []).map((organization) => ({ O: [organization] })),
    { CN: [subject.commonName] },
  ]);
}

/** 16 random bytes, positive as DER sees it. */
function randomSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return pemText(PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY"));
}

const pemText = (pem: string): string => (pem.endsWith("\n") ? pem : `${pem}\n`);
