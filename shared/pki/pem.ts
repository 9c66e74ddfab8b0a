import type { KeyAndCertificate } from "./certificate.ts";

/** A PEM text with a certificate (and chain) and its key, as its two parts; undefined when one is missing. */
export function splitPem(text: string): KeyAndCertificate | undefined {
  const blocks = text.match(/-----BEGIN ([A-Z ]+)-----[\s\S]*?-----END \1-----\n?/g) ?? [];
  const certificates = blocks.filter((block) => block.includes("BEGIN CERTIFICATE"));
  const key = blocks.find((block) => block.includes("PRIVATE KEY"));
  return key && certificates.length > 0 ? { certificatePem: certificates.join(""), keyPem: key } : undefined;
}

/** Both in one text, so that one rename replaces both. */
export const joinPem = ({ certificatePem, keyPem }: KeyAndCertificate): string => `${certificatePem}${keyPem}`;
