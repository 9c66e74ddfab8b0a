/** Why a server could not be reached or did not answer, in the words in which Kubernetes' programs, and whoever searches for
 *  them, know it. */
import { AnswerMissing } from "./http-over-stream.ts";

const ofKernel: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
  ETIMEDOUT: "connection timed out",
};

/** As Go's resolver, and the system's, have it. */
const ofResolver: Readonly<Record<string, string>> = {
  ENOTFOUND: "no such host",
  EAI_AGAIN: "Temporary failure in name resolution",
};

const isAddress = /^([\d.]+|\[[\da-f:]+\]):\d+$/;

const unknownAuthority = new Set([
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
]);

/** What the other side says of a handshake that it ends (RFC 8446, 6.2), where its words are others than the alert's name. */
const alerts: Readonly<Record<string, string>> = {
  CERTIFICATE_EXPIRED: "expired certificate",
  CERTIFICATE_REVOKED: "revoked certificate",
  CERTIFICATE_UNKNOWN: "unknown certificate",
  DECODE_ERROR: "error decoding message",
  DECRYPT_ERROR: "error decrypting message",
  INSUFFICIENT_SECURITY: "insufficient security level",
  PROTOCOL_VERSION: "protocol version not supported",
  UNKNOWN_CA: "unknown certificate authority",
};

interface NodeError extends Error {
  readonly code?: string;
  /** Of a certificate that is for other names. */
  readonly host?: string;
  readonly cert?: { readonly subjectaltname?: string };
}

const wrongTime = "certificate has expired or is not yet valid";

/** Whether a connection failed, by the text for it, because the clocks of both sides disagree or a certificate has run out. */
export const isOfTime = (fault: string): boolean => fault.includes(wrongTime);

/** Text for an error of a connection to `authority` (`host:port`); of an error that it does not know, that one's own. */
export function connectionFault(error: Error, authority: string): string {
  const { code = "", message } = error as NodeError;
  // What a board says of a stream that it opened comes as text alone.
  const kernel = Object.keys(ofKernel).find((name) => code === name || message.includes(name));
  if (kernel) {
    const [, found = authority] = new RegExp(`${kernel} (\\S+:\\d+)`).exec(message) ?? [];
    return `dial tcp ${isAddress.test(authority) ? authority : found}: connect: ${ofKernel[kernel]}`;
  }
  const unresolved = Object.keys(ofResolver).find((name) => code === name || message.includes(name));
  if (unresolved) return `dial tcp: lookup ${authority.replace(/:\d+$/, "")}: ${ofResolver[unresolved]}`;
  if (message.includes("ECONNRESET")) return "read: connection reset by peer";
  // TLS has this code where the other side ended the connection in the midst of the handshake.
  if (error instanceof AnswerMissing || code === "ECONNRESET") return "EOF";
  if (/wrong.version.number/i.test(message)) return "http: server gave HTTP response to HTTPS client";
  const [, alert] = /\b(?:TLSV1|SSLV3)_ALERT_([A-Z_]+)/.exec(message) ?? [];
  if (alert) return `remote error: tls: ${alerts[alert] ?? alert.toLowerCase().replaceAll("_", " ")}`;
  const failed = "tls: failed to verify certificate: x509:";
  if (unknownAuthority.has(code)) return `${failed} certificate signed by unknown authority`;
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") return `${failed} ${wrongTime}`;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return `${failed} ${wrongName(error)}`;
  return message;
}

function wrongName({ cert, host = "" }: NodeError): string {
  const names = (cert?.subjectaltname ?? "").split(/, ?/).flatMap((each) => {
    const [kind, name = ""] = each.split(/:(.*)/s);
    return kind === "DNS" || kind === "IP Address" ? [name] : [];
  });
  return names.length === 0
    ? `certificate is not valid for any names, but wanted to match ${host}`
    : `certificate is valid for ${names.join(", ")}, not ${host}`;
}
