import { type KeyObject, sign, verify } from "node:crypto";
import type { KeyAndCertificate } from "./certificate.ts";

/**
 * How a board that was away until its certificate ran out gets a new one, over HTTPS to an API server that proves itself
 * by the cluster's CA as ever: POST /bramble/v1/renew with the old certificate, a certificate request for a new key and
 * the same name, and a signature over the request by the old key. The master grants it within `renewalGrace_ms` of the
 * old certificate's end, to the board (by its serial) that has the name, as long as the Node is there: deleting the Node
 * shuts a board out. An old certificate opens nothing else.
 */
export const renewalPath = "/bramble/v1/renew";

/** A board may have lain in a drawer for a year after its certificate ran out; then it takes a join token. */
export const renewalGrace_ms = 365 * 86_400_000;

export interface RenewalRequest {
  /** PEM. */
  readonly certificate: string;
  /** PKCS #10, PEM. */
  readonly request: string;
  /** By the old certificate's key over the request, base64. */
  readonly proof: string;
  readonly boardSerial: string;
}

export interface RenewalAnswer {
  /** PEM. */
  readonly certificate: string;
}

/** Says what is signed, so that the signature means nothing elsewhere. */
const signedText = (request: string): Buffer => Buffer.from(`bramble certificate renewal 1\n${request}`);

export function renewalProof(old: KeyAndCertificate, request: string): string {
  return sign("sha256", signedText(request), old.keyPem).toString("base64");
}

/** @param key of the old certificate. */
export function isRenewalProof(proof: string, key: KeyObject, request: string): boolean {
  return verify("sha256", signedText(request), key, Buffer.from(proof, "base64"));
}
