import { createPublicKey, verify } from "node:crypto";

declare const BRAMBLE_RELEASE_KEY: string | undefined;

/** The public key of whoever signs this program's releases, as PEM; undefined for a program that somebody built by hand. */
export const releaseKey: string | undefined = typeof BRAMBLE_RELEASE_KEY === "string" ? BRAMBLE_RELEASE_KEY : undefined;

/** Files of a release beside the binaries. */
export const sumsFile = "SHA256SUMS";
export const signatureFile = "SHA256SUMS.sig";
export const versionFile = "VERSION";

/** A release that is not what it says it is. */
export class ReleaseError extends Error {
  override readonly name = "ReleaseError";
}

/** SHA-256 in hexadecimal by file name, from the text of `sha256sum`. */
export function parseSums(text: string): Map<string, string> {
  const sums = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, sum, name] = /^([0-9a-f]{64}) [ *]([\w.-]+)$/.exec(line) ?? [];
    if (sum !== undefined && name !== undefined) sums.set(name, sum);
  }
  return sums;
}

/** Of a bundle: the image archives beside a release, and the signature of that list. */
export const imageSumsFile = "images.sha256";

/**
 * Lets only pass what the holder of `key` has signed (Ed25519 over the file's bytes, base64). A signed program takes none
 * but signed releases: a master that is taken over cannot give its boards another program. Throws ReleaseError.
 */
export function checkSignature(
  sums: string,
  signature: string | undefined,
  key = releaseKey,
  name: typeof sumsFile | typeof imageSumsFile = sumsFile,
): void {
  if (key === undefined) return;
  if (signature === undefined) throw new ReleaseError(`the release has no ${name}.sig, and this program is signed`);
  if (!verify(undefined, Buffer.from(sums), createPublicKey(key), Buffer.from(signature.trim(), "base64")))
    throw new ReleaseError(`the signature of ${name} is not that of who signed this program`);
}
