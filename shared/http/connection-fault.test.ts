import { describe, expect, test } from "bun:test";
import { connectionFault } from "./connection-fault.ts";
import { AnswerMissing } from "./http-over-stream.ts";

const coded = (message: string, code: string, more: object = {}): Error =>
  Object.assign(new Error(message), { code, ...more });

describe("connectionFault", () => {
  const failed = "tls: failed to verify certificate: x509:";
  const cases: readonly (readonly [Error, string])[] = [
    [coded("connect ECONNREFUSED 10.0.0.7:443", "ECONNREFUSED"), "dial tcp 10.0.0.7:443: connect: connection refused"],
    [new Error("connect EHOSTUNREACH 10.0.0.7:443"), "dial tcp 10.0.0.7:443: connect: no route to host"],
    [coded("Failed to connect", "ECONNREFUSED"), "dial tcp name:8443: connect: connection refused"],
    [coded("getaddrinfo ENOTFOUND name", "ENOTFOUND"), "dial tcp: lookup name: no such host"],
    [coded("getaddrinfo EAI_AGAIN name", "EAI_AGAIN"), "dial tcp: lookup name: Temporary failure in name resolution"],
    [new Error("read ECONNRESET"), "read: connection reset by peer"],
    [new AnswerMissing("the connection ended before the answer"), "EOF"],
    [coded("disconnected before secure TLS connection was established", "ECONNRESET"), "EOF"],
    [
      coded("unable to verify the first certificate", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
      `${failed} certificate signed by unknown authority`,
    ],
    [
      coded("no match", "ERR_TLS_CERT_ALTNAME_INVALID", {
        host: "a.b.svc",
        cert: { subjectaltname: "DNS:c.svc, IP Address:10.0.0.1" },
      }),
      `${failed} certificate is valid for c.svc, 10.0.0.1, not a.b.svc`,
    ],
    [
      coded("no match", "ERR_TLS_CERT_ALTNAME_INVALID", { host: "a.b.svc", cert: {} }),
      `${failed} certificate is not valid for any names, but wanted to match a.b.svc`,
    ],
    [
      new Error("error:10000438:SSL routines:OPENSSL_internal:TLSV1_ALERT_INTERNAL_ERROR"),
      "remote error: tls: internal error",
    ],
    [
      new Error("error:10000418:SSL routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA"),
      "remote error: tls: unknown certificate authority",
    ],
    [
      new Error("error:10000410:SSL routines:OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE"),
      "remote error: tls: handshake failure",
    ],
    [new Error("anything else"), "anything else"],
  ];
  for (const [error, text] of cases) test(text, () => expect(connectionFault(error, "name:8443")).toBe(text));
});
