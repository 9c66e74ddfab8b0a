import { certificateFingerprint } from "./certificate-facts.ts";

/** The certificates of a PEM text, each by itself and ended by a newline. */
export function splitCertificates(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block}\n`);
}

/** One text of several, each certificate once, in order of first mention. */
export function joinCertificates(...pems: readonly string[]): string {
  return [...new Set(pems.flatMap(splitCertificates))].join("");
}

/** The fingerprints of all certificates of a PEM text, in order. */
export const bundleFingerprints = (pem: string): string[] => splitCertificates(pem).map(certificateFingerprint);
