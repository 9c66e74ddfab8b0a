import { createPrivateKey } from "node:crypto";
import { rm } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import {
  type CertificateSubject,
  issueCertificate,
  type KeyAndCertificate,
  leafLifetimeDays,
  lenientValidity,
} from "#shared/pki/certificate.ts";
import { certificateSubject, extendedKeyUsages, isIssuedBy, renewalTime } from "#shared/pki/certificate-facts.ts";
import { joinPem, splitPem } from "#shared/pki/pem.ts";
import type { ClusterAuthorities } from "./cluster-authorities.ts";

/** How this master is reached. */
export interface MasterNames {
  readonly hostNames: readonly string[];
  readonly addresses: readonly string[];
  /** From --tls-san: names or addresses. */
  readonly extra: readonly string[];
  /** The `kubernetes` Service. */
  readonly serviceIp: string;
  readonly clusterDomain: string;
}

/** What one master shows and serves; each certificate is renewed or made anew when it no longer fits. */
export interface MasterCertificates {
  /** For the API server and the MQTT broker. */
  readonly serving: KeyAndCertificate;
  /** What the API server shows to kubelets (`system:kube-apiserver-kubelet-client`). */
  readonly kubeletClient: KeyAndCertificate;
  /** What the API server shows to aggregated API servers; signed by the front-proxy CA. */
  readonly frontProxyClient: KeyAndCertificate;
  /** The earliest time at which one of them should be made anew. */
  readonly renewAt: Date;
}

const kubeletClientUser = "system:kube-apiserver-kubelet-client";
export const frontProxyUser = "front-proxy-client";

/** A file below the PKI folder that asks for new certificates before their time: `bramble certificate renew` makes it. */
export const renewalMarkFile = "renew-now";

/** Loads or makes the certificates below `folder`. Called again at `renewAt`, and whenever an address changes. */
export async function ensureMasterCertificates(
  folder: string,
  authorities: ClusterAuthorities,
  names: MasterNames,
  now: Date = new Date(),
): Promise<MasterCertificates> {
  const { serverAuth, clientAuth } = extendedKeyUsages;
  const mark = join(folder, renewalMarkFile);
  const isAsked = (await readIfPresent(mark)) !== undefined;
  const ensure = (file: string, authority: KeyAndCertificate, subject: CertificateSubject, usage: string) =>
    isAsked
      ? makeCertificate(join(folder, file), authority, subject, [usage], now)
      : ensureCertificate(join(folder, file), authority, subject, [usage], now);
  const serving = await ensure("apiserver", authorities.ca, servingSubject(names), serverAuth);
  const kubeletClient = await ensure("kubelet-client", authorities.ca, { commonName: kubeletClientUser }, clientAuth);
  const frontProxyClient = await ensure(
    "front-proxy-client",
    authorities.frontProxyCa,
    { commonName: frontProxyUser },
    clientAuth,
  );
  if (isAsked) await rm(mark, { force: true });
  const times = [serving, kubeletClient, frontProxyClient].map((one) => renewalTime(one.certificatePem).getTime());
  return { serving, kubeletClient, frontProxyClient, renewAt: new Date(Math.min(...times)) };
}

/** Every name under which clients, boards and pods reach an API server. */
function servingSubject(names: MasterNames): CertificateSubject {
  const domain = names.clusterDomain;
  const dnsNames = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    `kubernetes.default.svc.${domain}`,
    "localhost",
    ...names.hostNames,
    ...names.extra.filter((name) => isIP(name) === 0),
  ];
  const addresses = [
    "127.0.0.1",
    "::1",
    names.serviceIp,
    ...names.addresses,
    ...names.extra.filter((name) => isIP(name) !== 0),
  ];
  return {
    commonName: "kube-apiserver",
    dnsNames: [...new Set(dnsNames)],
    ipAddresses: [...new Set(addresses)],
  };
}

/** Loads or makes `<file>.pem`, key and certificate in one. */
export async function ensureCertificate(
  file: string,
  authority: KeyAndCertificate,
  subject: CertificateSubject,
  usages: readonly string[],
  now: Date,
): Promise<KeyAndCertificate> {
  // Key and certificate lie in one file, so that they always belong together.
  const stored = await readIfPresent(`${file}.pem`);
  const present = stored === undefined ? undefined : splitPem(stored);
  if (present && fits(present, authority, subject, now)) return present;
  return makeCertificate(file, authority, subject, usages, now);
}

async function makeCertificate(
  file: string,
  authority: KeyAndCertificate,
  subject: CertificateSubject,
  usages: readonly string[],
  now: Date,
): Promise<KeyAndCertificate> {
  const made = await issueCertificate(authority, subject, usages, lenientValidity(leafLifetimeDays, now));
  await writeSecureFile(`${file}.pem`, joinPem(made));
  return made;
}

function fits(
  present: KeyAndCertificate,
  authority: KeyAndCertificate,
  subject: CertificateSubject,
  now: Date,
): boolean {
  try {
    createPrivateKey(present.keyPem);
    if (!isIssuedBy(present.certificatePem, authority.certificatePem)) return false;
    if (renewalTime(present.certificatePem) <= now) return false;
  } catch {
    // Damaged: another is made.
    return false;
  }
  const has = certificateSubject(present.certificatePem);
  // Names that are no longer ours stay until renewal: they may come back with the next DHCP lease.
  return (
    (subject.dnsNames ?? []).every((name) => has.dnsNames.includes(name)) &&
    (subject.ipAddresses ?? []).every((address) => has.ipAddresses.includes(address))
  );
}
