import {
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from "jose";
import { trusting } from "#shared/pki/trusting.ts";
import { credentialIdKey, type User } from "../request.ts";
import { type AuthenticatedToken, type TokenAuthenticator, TokenError } from "./token-authenticator.ts";

/** Somebody else's tokens (JWT), and who is meant by them here. */
export interface JwtIssuer {
  /** https://…, as it stands in the tokens' `iss`. */
  readonly issuerUrl: string;
  /** Where its discovery document lies, if not below that. */
  readonly discoveryUrl?: string | undefined;
  /** A token must be made for one of them. */
  readonly audiences: readonly string[];
  readonly signingAlgorithms: readonly string[];
  /** PEM; the system's roots when absent. */
  readonly ca?: string | undefined;
  /** By a token's claims, which were verified. Throws TokenError. */
  readonly userOf: (claims: JWTPayload) => User;
}

export const knownAlgorithms = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];

const longest_bytes = 1024 * 1024;
const timeout_ms = 10_000;
/** An issuer that does not answer is asked again after so long. */
const retry_ms = 10_000;
/** A token may be of a clock that is ahead by so much (go-oidc's), never of one that is behind. */
const earliness_s = 300;

/**
 * Knows tokens of one issuer. Its keys are fetched with the first token, kept, and fetched anew, at most twice a minute, for a
 * token by a key that is not among them. An issuer that is away refuses its own tokens and nobody else's.
 */
export class JwtTokens implements TokenAuthenticator {
  #keys: Promise<JWTVerifyGetKey> | undefined;
  #failed: { readonly at_ms: number; readonly error: TokenError } | undefined;

  constructor(
    private readonly issuer: JwtIssuer,
    private readonly now_ms: () => number = Date.now,
  ) {}

  async authenticateToken(token: string): Promise<AuthenticatedToken | undefined> {
    if (unverifiedIssuer(token) !== this.issuer.issuerUrl) return undefined;
    return { user: this.issuer.userOf(await this.#verified(token)) };
  }

  async #verified(token: string): Promise<JWTPayload> {
    const { issuerUrl: issuer, audiences, signingAlgorithms } = this.issuer;
    const keys = await this.#keySet();
    const now_ms = this.now_ms();
    try {
      const payload = await payloadOf(token, keys, {
        issuer,
        audience: [...audiences],
        algorithms: [...signingAlgorithms],
        requiredClaims: ["exp"],
        currentDate: new Date(now_ms),
        clockTolerance: earliness_s,
      });
      if ((payload.exp ?? 0) * 1000 <= now_ms) throw new TokenError("oidc: verify token: token is expired");
      return payload;
    } catch (error) {
      if (error instanceof TokenError) throw error;
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
    const { issuerUrl, discoveryUrl, ca } = this.issuer;
    const url = discoveryUrl ?? `${issuerUrl.replace(/\/$/, "")}/.well-known/openid-configuration`;
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
}

/** A token that names no key may be by any of the issuer's. */
async function payloadOf(token: string, keys: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, options)).payload;
      } catch (wrong) {
        if (!(wrong instanceof errors.JWSSignatureVerificationFailed)) throw wrong;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

class OidcIssuerError extends Error {
  override readonly name = "OidcIssuerError";
}

/** The text of a claim that names somebody. */
export function nameIn(claims: JWTPayload, claim: string, what: string): string {
  const name = claims[claim];
  if (typeof name !== "string" || name === "")
    throw new TokenError(`oidc: parse ${what} claims "${claim}": claim not present`);
  return name;
}

/** Extras that tell by which token somebody came, where it has an ID: audit logs and reviews tell it. */
export function credentialOf({ jti }: JWTPayload): Record<string, string[]> {
  return typeof jti === "string" && jti !== "" ? { [credentialIdKey]: [`JTI=${jti}`] } : {};
}

/** As upstream: an address that its issuer says is not verified names nobody. */
export function assertVerified(claims: JWTPayload, usernameClaim: string): void {
  const { email_verified: isVerified } = claims;
  if (usernameClaim === "email" && isVerified !== undefined && isVerified !== true)
    throw new TokenError("oidc: email not verified");
}

/** One group as a text, or several. */
export function groupsOf(value: unknown, claim: string): string[] {
  if (value === undefined) return [];
  const groups = typeof value === "string" ? [value] : value;
  if (!Array.isArray(groups) || !groups.every((group) => typeof group === "string"))
    throw new TokenError(`oidc: parse groups claim "${claim}": expected a string or a list of strings`);
  return groups as string[];
}

async function boundedFetch(url: string, ca: string | undefined, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal, redirect: "error", ...(ca ? { tls: trusting(ca) } : {}) } as RequestInit);
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
