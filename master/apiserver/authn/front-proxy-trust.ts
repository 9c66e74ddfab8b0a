/** Which proxies in front of this API server are believed about whose requests they bring, as the settings have it. */
import { X509Certificate } from "node:crypto";
import type { Log } from "#shared/client/log.ts";
import { FollowedFile } from "#shared/config/followed-file.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { joinCertificates, splitCertificates } from "#shared/pki/certificate-bundle.ts";
import { frontProxyUser } from "../../pki/master-certificates.ts";
import { type IdentityHeaderNames, standardIdentityHeaders } from "./identity-headers.ts";

export interface FrontProxyTrust {
  /** By whom their certificates are issued, PEM, as it is at the moment. */
  readonly authorities: () => string;
  /** Their common names; none: any. */
  readonly allowedNames: readonly string[];
  readonly headers: IdentityHeaderNames;
}

/** Those whose certificates are of the cluster's own making. */
export const ownFrontProxies = { allowedNames: [frontProxyUser], headers: standardIdentityHeaders } as const;

export interface FrontProxyTrustOptions {
  readonly settings: FrontProxySettings;
  /** Of the cluster, PEM. */
  readonly own: { readonly clients: () => string; readonly frontProxies: () => string };
  readonly log: Log;
}

type FrontProxySettings = Pick<
  MasterSettings,
  | "requestheaderClientCaFile"
  | "requestheaderAllowedNames"
  | "requestheaderUsernameHeaders"
  | "requestheaderUidHeaders"
  | "requestheaderGroupHeaders"
  | "requestheaderExtraHeadersPrefix"
>;

export interface FollowedFrontProxyTrust extends FrontProxyTrust {
  /** Called when the settings' own authorities are others; what becomes of the cluster's, its keys tell. */
  onChange(changed: () => void): void;
  stop(): void;
}

/** Throws ConfigError. */
export function frontProxyTrustOf(options: FrontProxyTrustOptions): FollowedFrontProxyTrust {
  const { settings, own, log } = options;
  const path = settings.requestheaderClientCaFile;
  const given = settings.requestheaderAllowedNames;
  const headers: IdentityHeaderNames = {
    username: settings.requestheaderUsernameHeaders,
    uid: settings.requestheaderUidHeaders,
    group: settings.requestheaderGroupHeaders,
    extraPrefix: settings.requestheaderExtraHeadersPrefix,
  };
  if (path === "") {
    const allowedNames = given.length > 0 ? given : ownFrontProxies.allowedNames;
    return { authorities: own.frontProxies, allowedNames, headers, onChange: () => undefined, stop: () => undefined };
  }
  const told: (() => void)[] = [];
  const file = new FollowedFile({
    path,
    setting: "requestheader-client-ca-file",
    log,
    parse: (text) => authoritiesIn(text, given, own.clients()),
    changed: () => {
      for (const tell of told) tell();
    },
  });
  return {
    authorities: () => file.current,
    allowedNames: given,
    headers,
    onChange: (changed) => told.push(changed),
    stop: () => file.stop(),
  };
}

function authoritiesIn(text: string, allowedNames: readonly string[], clients: string): string {
  const certificates = splitCertificates(text);
  if (certificates.length === 0) throw new Error("there is no certificate in it");
  for (const pem of certificates) new X509Certificate(pem);
  const clientsOwn = new Set(splitCertificates(clients).map((pem) => new X509Certificate(pem).fingerprint256));
  if (allowedNames.length === 0 && certificates.some((pem) => clientsOwn.has(new X509Certificate(pem).fingerprint256)))
    throw new ConfigError(
      "clients have their certificates by the same CA: requestheader-allowed-names must say which of them are proxies, or each could be whoever it likes",
    );
  return joinCertificates(text);
}
