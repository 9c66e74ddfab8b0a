import type { SecureVersion } from "node:tls";
import { ConfigError, type ValuesOf } from "#shared/config/option.ts";
import type { tlsOptions } from "#shared/config/tls-options.ts";

/** Which TLS a server speaks. */
export interface TlsChoice {
  readonly minVersion: SecureVersion;
  /** Of TLS 1.2, as OpenSSL lists them; undefined: its own choice. */
  readonly ciphers: string | undefined;
}

export const usualTls: TlsChoice = { minVersion: "TLSv1.2", ciphers: undefined };

const versions = { VersionTLS12: "TLSv1.2", VersionTLS13: "TLSv1.3" } as const;

/** Suites of TLS 1.2 that upstream knows and that are still spoken here, with OpenSSL's names for them. */
const suites: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: "ECDHE-ECDSA-AES128-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: "ECDHE-ECDSA-AES256-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: "ECDHE-RSA-AES128-SHA",
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: "ECDHE-RSA-AES256-SHA",
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: "ECDHE-RSA-AES128-GCM-SHA256",
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: "ECDHE-RSA-AES256-GCM-SHA384",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: "ECDHE-RSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-RSA-CHACHA20-POLY1305",
  TLS_RSA_WITH_AES_128_CBC_SHA: "AES128-SHA",
  TLS_RSA_WITH_AES_256_CBC_SHA: "AES256-SHA",
  TLS_RSA_WITH_AES_128_GCM_SHA256: "AES128-GCM-SHA256",
  TLS_RSA_WITH_AES_256_GCM_SHA384: "AES256-GCM-SHA384",
};

/** Those of TLS 1.3 are always spoken with it, as by Go. */
const always: ReadonlySet<string> = new Set([
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
]);

/** Throws ConfigError, in upstream's words, for a suite that is not known. */
export function tlsChoiceOf({ tlsMinVersion, tlsCipherSuites }: ValuesOf<typeof tlsOptions>): TlsChoice {
  const names = tlsCipherSuites.flatMap((suite) => {
    if (always.has(suite)) return [];
    const name = Object.hasOwn(suites, suite) ? suites[suite] : undefined;
    if (name === undefined)
      throw new ConfigError(`tls-cipher-suites: Cipher suite ${suite} not supported or doesn't exist`);
    return [name];
  });
  return { minVersion: versions[tlsMinVersion], ciphers: names.length > 0 ? names.join(":") : undefined };
}
