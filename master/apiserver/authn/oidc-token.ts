import { readFileSync } from "node:fs";
import type { JWTPayload } from "jose";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { User } from "../request.ts";
import { assertVerified, credentialOf, groupsOf, JwtTokens, knownAlgorithms, nameIn } from "./jwt-tokens.ts";
import { TokenError } from "./token-authenticator.ts";

/** What makes somebody else's ID tokens (OpenID Connect) good here: upstream's `--oidc-…` flags. */
export interface OidcSettings {
  /** https://…, as it stands in the tokens' `iss`. */
  readonly issuerUrl: string;
  readonly clientId: string;
  readonly usernameClaim: string;
  readonly usernamePrefix: string;
  /** Empty: tokens bring no groups. */
  readonly groupsClaim: string;
  readonly groupsPrefix: string;
  readonly requiredClaims: ReadonlyMap<string, string>;
  readonly signingAlgorithms: readonly string[];
  /** PEM; the system's roots when absent. */
  readonly ca?: string | undefined;
}

/** Reads the flags; undefined when no issuer is named. Throws ConfigError. */
export function oidcSettingsOf(settings: MasterSettings): OidcSettings | undefined {
  const { oidcIssuerUrl: issuerUrl, oidcClientId: clientId, oidcUsernameClaim: usernameClaim } = settings;
  if (issuerUrl === "" && clientId === "") return undefined;
  if (issuerUrl === "" || clientId === "")
    throw new ConfigError("oidc-issuer-url and oidc-client-id are given together, or neither");
  if (!URL.canParse(issuerUrl) || new URL(issuerUrl).protocol !== "https:")
    throw new ConfigError(`oidc-issuer-url: expected https://HOST/…, got ${issuerUrl}`);
  const signingAlgorithms = settings.oidcSigningAlgs;
  const unknown = signingAlgorithms.find((name) => !knownAlgorithms.includes(name));
  if (unknown !== undefined)
    throw new ConfigError(`oidc-signing-algs: expected some of ${knownAlgorithms.join(", ")}, got ${unknown}`);
  // As upstream: only an e-mail address is taken for unique among all who know this cluster.
  const ownPrefix = usernameClaim === "email" ? "" : `${issuerUrl}#`;
  const { oidcUsernamePrefix: prefix } = settings;
  return {
    issuerUrl,
    clientId,
    usernameClaim,
    usernamePrefix: prefix === "" ? ownPrefix : prefix === "-" ? "" : prefix,
    groupsClaim: settings.oidcGroupsClaim,
    groupsPrefix: settings.oidcGroupsPrefix,
    requiredClaims: requiredClaimsOf(settings.oidcRequiredClaim),
    signingAlgorithms: signingAlgorithms.length > 0 ? signingAlgorithms : ["RS256"],
    ca: settings.oidcCaFile === "" ? undefined : readCa(settings.oidcCaFile),
  };
}

function requiredClaimsOf(texts: readonly string[]): Map<string, string> {
  return new Map(
    texts.map((text): [string, string] => {
      const at = text.indexOf("=");
      if (at <= 0) throw new ConfigError(`oidc-required-claim: expected CLAIM=VALUE, got ${text}`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

function readCa(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`oidc-ca-file: ${(error as Error).message}`);
  }
}

/** Knows ID tokens of the issuer that flags name. */
export class OidcTokens extends JwtTokens {
  constructor(settings: OidcSettings, now_ms?: () => number) {
    super({ ...settings, audiences: [settings.clientId], userOf: (claims) => userOf(settings, claims) }, now_ms);
  }
}

function userOf(settings: OidcSettings, claims: JWTPayload): User {
  const { usernameClaim, usernamePrefix, groupsClaim, groupsPrefix, requiredClaims } = settings;
  for (const [claim, value] of requiredClaims) {
    if (claims[claim] === undefined) throw new TokenError(`oidc: required claim ${claim} not present in ID token`);
    if (claims[claim] !== value) throw new TokenError(`oidc: required claim ${claim} does not match`);
  }
  const name = nameIn(claims, usernameClaim, "username");
  assertVerified(claims, usernameClaim);
  const groups = groupsClaim === "" ? [] : groupsOf(claims[groupsClaim], groupsClaim);
  const extra = credentialOf(claims);
  return {
    name: usernamePrefix + name,
    groups: groups.map((group) => groupsPrefix + group),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}
