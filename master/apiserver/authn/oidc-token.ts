import { readFileSync } from "node:fs";
import {
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from "jose";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { User } from "../request.ts";
import { type AuthenticatedToken, type TokenAuthenticator, TokenError } from "./token-authenticator.ts";

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

const knownAlgorithms = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];

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

const longest_bytes = 1024 * 1024;
const timeout_ms = 10_000;
/** An issuer that does not answer is asked again after so long. */
const retry_ms = 10_000;

/**
 * Knows ID tokens of one issuer. Its keys are fetched with the first token, kept, and fetched anew, at most twice a minute, for a
 * token by a key that is not among them. An issuer that is away refuses its own tokens and nobody else's.
 */
export class OidcTokens implements TokenAuthenticator {
  #keys: Promise<JWTVerifyGetKey> | undefined;
  #failed: { readonly at_ms: number; readonly error: TokenError } | undefined;

  constructor(
    private readonly settings: OidcSettings,
    private readonly now_ms: () => number = Date.now,
  ) {}

  async authenticateToken(token: string): Promise<AuthenticatedToken | undefined> {
    if (unverifiedIssuer(token) !== this.settings.issuerUrl) return undefined;
    return { user: this.#userOf(await this.#verified(token)) };
  }

  async #verified(token: string): Promise<JWTPayload> {
    const { issuerUrl: issuer, clientId: audience, signingAlgorithms } = this.settings;
    const keys = await this.#keySet();
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: [...signingAlgorithms],
        requiredClaims: ["exp"],
        currentDate: new Date(this.now_ms()),
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof OidcIssuerError)
        throw new TokenError(`oidc: verify token: ${error.message}`);
      // The issuer's keys cannot be fetched: fetch has its own errors.
      throw new TokenError(`oidc: the issuer's keys cannot be fetched: ${(error as Error).message}`);
    }
  }

  /** As the issuer's discovery document says where they are. */
  #keySet(): Promise<JWTVerifyGetKey> {
    if (this.#failed && performance.now() - this.#failed.at_ms < retry_ms) return Promise.reject(this.#failed.error);
    this.#keys ??= this.#discover().catch((error: unknown) => {
      this.#keys = undefined;
      const refusal = new TokenError(`oidc: the issuer cannot be asked: ${(error as Error).message}`);
      this.#failed = { at_ms: performance.now(), error: refusal };
      throw refusal;
    });
    return this.#keys;
  }

  async #discover(): Promise<JWTVerifyGetKey> {
    const { issuerUrl, ca } = this.settings;
    const url = `${issuerUrl.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const answer = await boundedFetch(url, ca, AbortSignal.timeout(timeout_ms));
    const { issuer, jwks_uri: keysUrl } = (await answer.json()) as { issuer?: unknown; jwks_uri?: unknown };
    if (issuer !== issuerUrl) throw new OidcIssuerError(`${url} is of the issuer ${String(issuer)}`);
    if (typeof keysUrl !== "string" || !URL.canParse(keysUrl) || new URL(keysUrl).protocol !== "https:")
      throw new OidcIssuerError(`${url} names no https address of its keys`);
    return createRemoteJWKSet(new URL(keysUrl), {
      timeoutDuration: timeout_ms,
      [customFetch]: (address, { signal }) => boundedFetch(address, ca, signal),
    });
  }

  #userOf(claims: JWTPayload): User {
    const { usernameClaim, usernamePrefix, groupsClaim, groupsPrefix, requiredClaims } = this.settings;
    for (const [claim, value] of requiredClaims) {
      if (claims[claim] === undefined) throw new TokenError(`oidc: required claim ${claim} not present in ID token`);
      if (claims[claim] !== value) throw new TokenError(`oidc: required claim ${claim} does not match`);
    }
    const name = claims[usernameClaim];
    if (typeof name !== "string" || name === "")
      throw new TokenError(`oidc: parse username claims "${usernameClaim}": claim not present`);
    const { email_verified: isVerified } = claims;
    if (usernameClaim === "email" && isVerified !== undefined && isVerified !== true)
      throw new TokenError("oidc: email not verified");
    const groups = groupsClaim === "" ? [] : groupsOf(claims[groupsClaim], groupsClaim);
    return { name: usernamePrefix + name, groups: groups.map((group) => groupsPrefix + group) };
  }
}

class OidcIssuerError extends Error {
  override readonly name = "OidcIssuerError";
}

/** One group as a text, or several. */
function groupsOf(value: unknown, claim: string): string[] {
  if (value === undefined) return [];
  const groups = typeof value === "string" ? [value] : value;
  if (!Array.isArray(groups) || !groups.every((group) => typeof group === "string"))
    throw new TokenError(`oidc: parse groups claim "${claim}": expected a string or a list of strings`);
  return groups as string[];
}

async function boundedFetch(url: string, ca: string | undefined, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal, redirect: "error", ...(ca ? { tls: { ca } } : {}) } as RequestInit);
  if (response.status !== 200) throw new OidcIssuerError(`${url} answers ${response.status}`);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > longest_bytes) throw new OidcIssuerError(`${url} answers with too much`);
    parts.push(part);
  }
  return new Response(Buffer.concat(parts), { headers: { "content-type": "application/json" } });
}

/** Looked at before the signature, only to see whose token it is. */
function unverifiedIssuer(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    // Not a JWT, so not of this issuer.
    return undefined;
  }
}
