import { randomInt, timingSafeEqual } from "node:crypto";
import { bundleFingerprints, splitCertificates } from "./certificate-bundle.ts";
import { certificateFingerprint } from "./certificate-facts.ts";

/**
 * `BR1<sha256 of the cluster CA's DER>::<id>.<secret>`: what a board needs to join. The joiner checks the CA's hash
 * before it sends the secret; `<id>.<secret>` is a Kubernetes bootstrap token (6 and 16 characters of [a-z0-9]).
 */
export interface JoinToken {
  /** 64 lower-case hex digits. */
  readonly caHash: string;
  readonly id: string;
  readonly secret: string;
}

export class JoinTokenError extends Error {
  override readonly name = "JoinTokenError";
}

const pattern = /^BR1([0-9a-f]{64})::([a-z0-9]{6})\.([a-z0-9]{16})$/;

export function parseJoinToken(text: string): JoinToken {
  const trimmed = text.trim();
  const match = pattern.exec(trimmed);
  if (match) {
    const [, caHash = "", id = "", secret = ""] = match;
    return { caHash, id, secret };
  }
  if (/^[a-z0-9]{6}\.[a-z0-9]{16}$/.test(trimmed))
    throw new JoinTokenError(
      "this is only the bootstrap part of a join token; the whole one begins with BR1 and the cluster's CA hash. " +
        "Run `bramble token create` on the master, or copy /var/lib/bramble/token from it",
    );
  throw new JoinTokenError(
    "this is not a join token: expected BR1<64 hex digits>::<id>.<secret>. " +
      "Run `bramble token create` on the master, or copy /var/lib/bramble/token from it",
  );
}

export function formatJoinToken(token: JoinToken): string {
  return `BR1${token.caHash}::${bootstrapToken(token)}`;
}

/** The part that authenticates: `<id>.<secret>`. */
export function bootstrapToken(token: Pick<JoinToken, "id" | "secret">): string {
  return `${token.id}.${token.secret}`;
}

/** Makes a token for the cluster whose CA is given. */
export function createJoinToken(caCertificatePem: string): JoinToken {
  return { caHash: certificateFingerprint(caCertificatePem), id: randomText(6), secret: randomText(16) };
}

/** Of the certificates in `caCertificatePem` (several while the CA is rotated) the one that the token was made for: it alone
 *  may be trusted by whoever knows only the token. Throws JoinTokenError when it is not there. */
export function verifyAuthority(token: JoinToken, caCertificatePem: string, server: string): string {
  const certificates = splitCertificates(caCertificatePem);
  const pinned = Buffer.from(token.caHash);
  for (const certificate of certificates)
    if (timingSafeEqual(Buffer.from(certificateFingerprint(certificate)), pinned)) return certificate;
  throw new JoinTokenError(
    `${server} is not the cluster that this token was made for: its CA has the hash ${bundleFingerprints(caCertificatePem).join(" or ")}, the token says ` +
      `${token.caHash}. The secret was not sent. Check the address; if the cluster was set up anew or its CA was rotated, take a new token ` +
      "from its master (`bramble token create`)",
  );
}

function randomText(length: number): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join("");
}
