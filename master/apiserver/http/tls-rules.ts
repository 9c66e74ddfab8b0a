/** Which TLS is spoken with clients, and by which certificate with those that ask for a name: upstream's flags. */
import type { SecureContextOptions } from "node:tls";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { type TlsChoice, tlsChoiceOf, usualTls } from "#shared/net/tls-choice.ts";
import { certificateSubject } from "#shared/pki/certificate-facts.ts";
import { pairInFiles } from "#shared/pki/self-signed.ts";

export interface NamedCertificate {
  readonly names: readonly string[];
  readonly cert: string;
  readonly key: string;
}

export interface TlsRules extends TlsChoice {
  /** As they are at the moment. */
  readonly named: () => readonly NamedCertificate[];
  /** Where they are read from. */
  readonly namedFiles: readonly string[];
}

export const usualTlsRules: TlsRules = { ...usualTls, named: () => [], namedFiles: [] };

type Settings = Pick<MasterSettings, "tlsMinVersion" | "tlsCipherSuites" | "tlsSniCertKey">;

/** Throws ConfigError. */
export function tlsRulesOf(settings: Settings): TlsRules {
  const named = (): NamedCertificate[] => settings.tlsSniCertKey.map(namedCertificate);
  // What is wrong is said before anything runs.
  named();
  const namedFiles = settings.tlsSniCertKey.flatMap((text) => Object.values(filesOf(text)));
  return { ...tlsChoiceOf(settings), named, namedFiles };
}

export const contextOf = ({ minVersion, ciphers }: TlsRules): SecureContextOptions => ({
  minVersion,
  ...(ciphers === undefined ? {} : { ciphers }),
});

/** `CERT,KEY` or `CERT,KEY:NAME,NAME`. Throws ConfigError. */
function filesOf(text: string): { readonly certificate: string; readonly key: string } {
  const [files = ""] = text.split(":");
  const [certificate = "", key = "", ...more] = files.split(",");
  if (certificate === "" || key === "" || more.length > 0)
    throw new ConfigError("tls-sni-cert-key: expected comma separated certificate and key file paths");
  return { certificate, key };
}

function namedCertificate(text: string): NamedCertificate {
  const { certificate, key } = filesOf(text);
  const [, names] = text.split(/:(.*)/s);
  try {
    const { certificatePem: cert, keyPem } = pairInFiles(certificate, key);
    const given = names?.split(",").map((name) => name.trim());
    const { dnsNames: own, commonName } = certificateSubject(cert);
    return { names: given ?? (own.length > 0 ? own : [commonName]), cert, key: keyPem };
  } catch (error) {
    throw new ConfigError(`tls-sni-cert-key: ${(error as Error).message}`);
  }
}
