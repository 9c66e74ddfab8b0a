import { X509Certificate } from "node:crypto";
import { messageOf } from "#shared/api/joined-errors.ts";

const pemBlocks = /-----BEGIN ([^-\n]+)-----[^-]*-----END \1-----/g;

/**
 * Why nobody can be verified by a bundle of certificates (base64 of PEM, as APIs have it); undefined: they can, or it has none, which
 * leaves it to the system's. One certificate that can be read is enough, as to Go's AppendCertsFromPEM.
 */
export function faultOfCaBundle(caBundle: string | undefined): string | undefined {
  const pem = Buffer.from(caBundle ?? "", "base64").toString();
  if (pem === "") return undefined;
  let unread: string | undefined;
  for (const [block, type] of pem.matchAll(pemBlocks)) {
    if (type !== "CERTIFICATE") continue;
    try {
      new X509Certificate(block);
      return undefined;
    } catch (error) {
      unread ??= `failed to parse certificate: ${messageOf(error)}`;
    }
  }
  return `unable to load root certificates: ${unread ?? "unable to parse bytes as PEM block"}`;
}
