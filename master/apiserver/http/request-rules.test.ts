import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { startTestServer, type TestServer } from "../../../test/support/apiserver.ts";
import { requestRulesOf } from "./request-rules.ts";
import { tlsRulesOf } from "./tls-rules.ts";

setDefaultTimeout(60_000);

const settings = {
  requestTimeout: 60_000,
  goawayChance: 0,
  corsAllowedOrigins: [] as readonly string[],
  strictTransportSecurityDirectives: [] as readonly string[],
};
const tls = { tlsMinVersion: "VersionTLS12", tlsCipherSuites: [], tlsSniCertKey: [] } as const;

test("what is no rule is refused in upstream's words", () => {
  expect(() => requestRulesOf({ ...settings, strictTransportSecurityDirectives: ["always"] })).toThrow(
    "--strict-transport-security-directives invalid, allowed values",
  );
  expect(() => requestRulesOf({ ...settings, corsAllowedOrigins: ["example.com"] })).toThrow(
    "regular expression has no start or end anchor - example.com",
  );
  expect(() => requestRulesOf({ ...settings, corsAllowedOrigins: ["//a(b$"] })).toThrow("invalid regular expression");
  expect(() => tlsRulesOf({ ...tls, tlsCipherSuites: ["TLS_RSA_WITH_RC4_128_SHA"] })).toThrow(
    "Cipher suite TLS_RSA_WITH_RC4_128_SHA not supported or doesn't exist",
  );
  expect(() => tlsRulesOf({ ...tls, tlsSniCertKey: ["one"] })).toThrow("certificate and key file paths");
});

test("without rules browsers are told nothing", () => {
  expect(requestRulesOf(settings).tellBrowser).toBeUndefined();
});

test("a request takes no longer than a timer can count", () => {
  expect(requestRulesOf({ ...settings, requestTimeout: 60 * 86_400_000 }).longest_ms).toBe(2 ** 31 - 1);
});

describe("a server with rules", () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-rules-"));
  const [cert, key] = [join(folder, "named.crt"), join(folder, "named.key")];
  let server: TestServer;

  async function issue(commonName: string): Promise<void> {
    const authority = await createCertificateAuthority("named");
    const subject = { commonName, dnsNames: ["named.example"] };
    const pair = await issueCertificate(authority, subject, [extendedKeyUsages.serverAuth]);
    writeFileSync(cert, pair.certificatePem);
    writeFileSync(key, pair.keyPem);
  }

  beforeAll(async () => {
    await issue("named");
    server = await startTestServer({
      rules: requestRulesOf({
        ...settings,
        corsAllowedOrigins: ["^https://pages\\.example$"],
        strictTransportSecurityDirectives: ["max-age=600", "includeSubDomains"],
      }),
      tls: tlsRulesOf({
        ...tls,
        tlsMinVersion: "VersionTLS13",
        tlsSniCertKey: [`${cert},${key}:*.pages.example,named.example`],
      }),
    });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("lets pages of an origin read, and no others", async () => {
    const origin = "https://pages.example";
    const asked = await server.fetch("/api/v1/namespaces", { headers: { origin } });
    expect(asked.headers.get("access-control-allow-origin")).toBe(origin);
    expect(asked.headers.get("strict-transport-security")).toBe("max-age=600; includeSubDomains");
    const preflight = await server.fetch("/api/v1/namespaces", { method: "OPTIONS", headers: { origin } });
    expect([preflight.status, preflight.headers.get("access-control-allow-methods")]).toEqual([
      204,
      "POST, GET, OPTIONS, PUT, DELETE, PATCH",
    ]);
    const stranger = await server.fetch("/api/v1/namespaces", { headers: { origin: `${origin}.evil` } });
    expect(stranger.status).toBe(200);
    expect(stranger.headers.has("access-control-allow-origin")).toBe(false);
  });

  /** The name in the certificate that is shown, and the version of TLS. */
  const shake = (servername: string, maxVersion?: "TLSv1.2"): Promise<string> =>
    new Promise((resolve, reject) => {
      const port = Number(new URL(server.url).port);
      const socket = connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false, maxVersion }, () => {
        resolve(`${socket.getPeerCertificate().subject.CN} ${socket.getProtocol()}`);
        socket.destroy();
      });
      socket.once("error", reject);
    });

  test("shows another certificate to who asks for its name", async () => {
    expect(await shake("localhost")).toBe("kube-apiserver TLSv1.3");
    expect(await shake("named.example")).toBe("named TLSv1.3");
    expect(await shake("a.pages.example")).toBe("named TLSv1.3");
  });

  test("shows a renewed one from then on, and the former while the files are wrong", async () => {
    const useAnew = () => server.trustClientsOf(server.authority.certificatePem);
    await issue("renewed");
    useAnew();
    expect(await shake("named.example")).toBe("renewed TLSv1.3");
    expect(await shake("a.pages.example")).toBe("renewed TLSv1.3");
    writeFileSync(cert, "half of it");
    expect(useAnew).toThrow("tls-sni-cert-key");
    expect(await shake("named.example")).toBe("renewed TLSv1.3");
  });

  test("speaks no older TLS than it is told", async () => {
    await expect(shake("localhost", "TLSv1.2")).rejects.toThrow();
  });
});
