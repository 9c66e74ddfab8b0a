import "reflect-metadata";
import { createHash } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  type Name,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
} from "@peculiar/x509";
import { dayMs } from "./x509.ts";

/** Extended key usages as RFC 5280 numbers them. */
export const extendedKeyUsages = { serverAuth: "1.3.6.1.5.5.7.3.1", clientAuth: "1.3.6.1.5.5.7.3.2" } as const;
/** In the place of these: whatever is asked for. */
export const anyUsage = "2.5.29.37.0";

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** A leaf is renewed when less than this remains of it. */
const renewBeforeDays = 90;

/** The subject of a certificate or of a request for one, with its alternative names. */
export interface NamedSubject {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly uris: readonly string[];
  /** Subject parts other than CN and O; signers that map a subject to a user refuse them. */
  readonly otherSubjectParts: readonly string[];
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

/** Throws for what is no certificate. */
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
): Pick<NamedSubject, "commonName" | "organizations" | "dnsNames" | "ipAddresses"> {
  const certificate = parseCertificate(pem);
  return { ...subjectOf(certificate.subjectName), ...altNamesOf(certificate.extensions) };
}

/** When a certificate should be replaced: 90 days, or a quarter of its life if that is shorter, before its end. */
export function renewalTime(pem: string): Date {
  const { notBefore, notAfter } = parseCertificate(pem);
  const lead_ms = Math.min(renewBeforeDays * dayMs, (notAfter.getTime() - notBefore.getTime()) / 4);
  return new Date(notAfter.getTime() - lead_ms);
}

/** The parts of a subject that Kubernetes gives a meaning to, and the types of the others. */
export function subjectOf(name: Name): Pick<NamedSubject, "commonName" | "organizations" | "otherSubjectParts"> {
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

/** Alternative names by their type. */
export function altNamesOf(
  extensions: readonly Extension[],
): Pick<NamedSubject, "dnsNames" | "ipAddresses" | "emailAddresses" | "uris"> {
  const found = extensions.find((extension) => extension.type === "2.5.29.17");
  const names = found ? new SubjectAlternativeNameExtension(found.rawData).names.items : [];
  const of = (type: string) => names.filter((name) => name.type === type).map((name) => name.value);
  return { dnsNames: of("dns"), ipAddresses: of("ip"), emailAddresses: of("email"), uris: of("url") };
}
