/** Which TLS is spoken with clients, and by which certificate with those that ask for a name: upstream's flags. */
import type { SecureContextOptions } from "node:tls";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { certificateSubject } from "#shared/pki/certificate-facts.ts";
import { pairInFiles } from "#shared/pki/self-signed.ts";

export interface NamedCertificate {
  readonly names: readonly string[];
  readonly cert: string;
  readonly key: string;
}

export interface TlsRules {
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  /** As OpenSSL names them, with colons between; undefined: the usual ones. */
  readonly ciphers?: string | undefined;
  /** As they are at the moment. */
  readonly named: () => readonly NamedCertificate[];
}

export const usualTlsRules: TlsRules = { minVersion: "TLSv1.2", named: () => [] };

type Settings = Pick<MasterSettings, "tlsMinVersion" | "tlsCipherSuites" | "tlsSniCertKey">;

/** Throws ConfigError. */
export function tlsRulesOf({ tlsMinVersion, tlsCipherSuites, tlsSniCertKey }: Settings): TlsRules {
  const named = (): NamedCertificate[] => tlsSniCertKey.map(namedCertificate);
  // What is wrong is said before anything runs.
  named();
  return {
    minVersion: tlsMinVersion === "VersionTLS13" ? "TLSv1.3" : "TLSv1.2",
    ciphers: tlsCipherSuites.length > 0 ? tlsCipherSuites.map(opensslName).join(":") : undefined,
    named,
  };
}

export const contextOf = ({ minVersion, ciphers }: TlsRules): SecureContextOptions => ({
  minVersion,
  ...(ciphers === undefined ? {} : { ciphers }),
});

/** `CERT,KEY` or `CERT,KEY:NAME,NAME`. */
function namedCertificate(text: string): NamedCertificate {
  const [files = "", names] = text.split(/:(.*)/s);
  const [certificate = "", key = "", ...more] = files.split(",");
  if (certificate === "" || key === "" || more.length > 0)
    throw new ConfigError("tls-sni-cert-key: expected comma separated certificate and key file paths");
  try {
    const { certificatePem: cert, keyPem } = pairInFiles(certificate, key);
    const given = names?.split(",").map((name) => name.trim());
    const { dnsNames: own, commonName } = certificateSubject(cert);
    return { names: given ?? (own.length > 0 ? own : [commonName]), cert, key: keyPem };
  } catch (error) {
    throw new ConfigError(`tls-sni-cert-key: ${(error as Error).message}`);
  }
}

/** Go's names of what TLS 1.2 encrypts with and that is safe. */
const suites: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: "ECDHE-RSA-AES128-GCM-SHA256",
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: "ECDHE-RSA-AES256-GCM-SHA384",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-RSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: "ECDHE-RSA-CHACHA20-POLY1305",
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: "ECDHE-ECDSA-AES128-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: "ECDHE-ECDSA-AES256-SHA",
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: "ECDHE-RSA-AES128-SHA",
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: "ECDHE-RSA-AES256-SHA",
  // Of TLS 1.3, which chooses by itself.
  TLS_AES_128_GCM_SHA256: "TLS_AES_128_GCM_SHA256",
  TLS_AES_256_GCM_SHA384: "TLS_AES_256_GCM_SHA384",
  TLS_CHACHA20_POLY1305_SHA256: "TLS_CHACHA20_POLY1305_SHA256",
};

function opensslName(suite: string): string {
  const found = suites[suite];
  if (found === undefined) throw new ConfigError(`Cipher suite ${suite} not supported or doesn't exist`);
  return found;
}
