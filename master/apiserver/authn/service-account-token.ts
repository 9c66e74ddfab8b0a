import { createHash } from "node:crypto";
import { type CryptoKey, compactVerify, importSPKI } from "jose";
import type { KubeObject } from "#shared/api/object.ts";
import { nodes, pods, secrets, serviceAccounts } from "#shared/api/resources.ts";
import { goQuoteAll } from "#shared/api/selector/go-quote.ts";
import { BoundedMap } from "#shared/compact/bounded-map.ts";
import type { ServiceAccountKey } from "#shared/pki/service-account-key.ts";
import type { ResourceReader } from "../registry/reader.ts";
import { credentialIdKey, type User } from "../request.ts";
import type { SecretTokenUse } from "./secret-token-use.ts";
import type { BoundReference, KubernetesClaim, ServiceAccountIssuer } from "./service-account-issuer.ts";
import { type AuthenticatedToken, type TokenAuthenticator, TokenError } from "./token-authenticator.ts";
import { staleTokens, validTokens } from "./token-metrics.ts";

interface Claims extends LegacyClaims {
  readonly iss?: string;
  readonly sub?: string;
  readonly aud?: string | readonly string[];
  readonly exp?: number;
  readonly nbf?: number;
  readonly iat?: number;
  readonly jti?: string;
  readonly "kubernetes.io"?: Partial<KubernetesClaim>;
}

/** Of tokens that upstream's controller manager puts into Secrets. */
const legacyIssuer = "kubernetes/serviceaccount";
const legacyClaim = {
  namespace: "kubernetes.io/serviceaccount/namespace",
  account: "kubernetes.io/serviceaccount/service-account.name",
  uid: "kubernetes.io/serviceaccount/service-account.uid",
  secret: "kubernetes.io/serviceaccount/secret.name",
} as const;

type LegacyClaims = { readonly [K in (typeof legacyClaim)[keyof typeof legacyClaim]]?: string };

const useOtherTokens =
  "Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated secret-based tokens.";

/** Clock difference that a claim may be off by, as upstream. */
const leeway_s = 60;
/** A signature is checked once; what it covers is kept for this many tokens. Those not used for the longest go first. */
const verifiedLimit = 2048;

export interface ServiceAccountTokensOptions {
  readonly now_ms?: (() => number) | undefined;
  /** Told of each use of a token that lies in a Secret; refuses those that are marked invalid. */
  readonly secretUse?: Pick<SecretTokenUse, "note"> | undefined;
}

/**
 * Knows the cluster's own service account tokens. The signature is cached; time, audience, and the service account, pod,
 * secret or node that the token is bound to are looked at on every request, so a token dies with its pod.
 */
export class ServiceAccountTokens implements TokenAuthenticator {
  readonly #verified = new BoundedMap<{ readonly claims: Claims; readonly key: ServiceAccountKey }>(verifiedLimit);
  private readonly now_ms: () => number;
  readonly #publicKeys = new Map<string, Promise<CryptoKey>>();

  constructor(
    private readonly issuer: ServiceAccountIssuer,
    private readonly reader: ResourceReader,
    private readonly options: ServiceAccountTokensOptions = {},
  ) {
    this.now_ms = options.now_ms ?? Date.now;
  }

  async authenticateToken(token: string, audiences?: readonly string[]): Promise<AuthenticatedToken | undefined> {
    const issuer = unverifiedIssuer(token);
    const isLegacy = issuer === legacyIssuer;
    if (issuer === undefined || !(isLegacy || this.issuer.isIssuer(issuer))) return undefined;
    const claims = await this.#verify(token);
    if (isLegacy) this.#assertCopy(claims, token);
    // A legacy one says nothing of whom it is for: it is for the API server.
    const tokenAudiences = isLegacy ? this.issuer.apiAudiences : [claims.aud ?? []].flat();
    const wanted = audiences ?? this.issuer.apiAudiences;
    const matching = tokenAudiences.filter((audience) => wanted.includes(audience));
    if (matching.length === 0)
      throw new TokenError(
        `token audiences ${goQuoteAll(tokenAudiences)} is invalid for the target audiences ${goQuoteAll(wanted)}`,
      );
    const user = isLegacy ? this.#legacyUserOf(claims) : this.#userOf(claims);
    return { user, audiences: matching, ...(this.#isGenerated(claims) ? { warnings: [useOtherTokens] } : {}) };
  }

  /** One that upstream's controller manager has put into a Secret holds as long as it lies there. */
  #assertCopy(claims: LegacyClaims, token: string): void {
    const key = { namespace: claims[legacyClaim.namespace] ?? "", name: claims[legacyClaim.secret] ?? "" };
    const secret = this.reader.get(secrets, key);
    if (!secret || secret.metadata.deletionTimestamp !== undefined) throw new TokenError("Token has been invalidated");
    if (Buffer.from(secret.data?.["token"] ?? "", "base64").toString("utf8") !== token)
      throw new TokenError("Token does not match server's copy");
  }

  /** Whether it lies in a Secret that was made for its service account without anyone asking for it, as clusters once did. */
  #isGenerated(claims: Claims): boolean {
    const bound = claims["kubernetes.io"];
    const namespace = bound?.namespace ?? claims[legacyClaim.namespace] ?? "";
    const name = bound?.serviceaccount?.name ?? claims[legacyClaim.account] ?? "";
    const secret = bound?.secret?.name ?? claims[legacyClaim.secret];
    if (secret === undefined) return false;
    return (
      this.reader.get(serviceAccounts, { namespace, name })?.secrets?.some((each) => each.name === secret) ?? false
    );
  }

  #legacyUserOf(claims: LegacyClaims & Claims): User {
    const [namespace = "", name = ""] = [claims[legacyClaim.namespace], claims[legacyClaim.account]];
    if (claims.sub !== `system:serviceaccount:${namespace}:${name}`) throw new TokenError("sub claim is invalid");
    const uid = claims[legacyClaim.uid] ?? "";
    const account = this.reader.get(serviceAccounts, { namespace, name });
    if (!account) throw new TokenError(`serviceaccounts "${name}" not found`);
    if (account.metadata.deletionTimestamp !== undefined)
      throw new TokenError(`ServiceAccount ${namespace}/${name} has been deleted`);
    if (account.metadata.uid !== uid)
      throw new TokenError(`ServiceAccount UID (${account.metadata.uid}) does not match claim (${uid})`);
    const secret = this.reader.get(secrets, { namespace, name: claims[legacyClaim.secret] ?? "" });
    if (secret) this.options.secretUse?.note(secret, name, this.now_ms());
    return serviceAccountUser(namespace, { name, uid });
  }

  async #verify(token: string): Promise<Claims> {
    const digest = createHash("sha256").update(token).digest("base64");
    const known = this.#verified.get(digest);
    // A key that was dropped verifies nothing any more.
    if (known && this.issuer.keys.some(({ keyId }) => keyId === known.key.keyId)) {
      this.#verified.set(digest, known);
      return known.claims;
    }
    const keyId = headerOf(token).kid;
    const keys = this.issuer.keys.filter((key) => keyId === undefined || key.keyId === keyId);
    if (keys.length === 0) throw new TokenError("invalid signature, no keys found");
    for (const key of keys) {
      const claims = await this.#tryKey(token, key);
      if (!claims) continue;
      this.#verified.set(digest, { claims, key });
      return claims;
    }
    throw new TokenError("invalid signature");
  }

  async #tryKey(token: string, key: ServiceAccountKey): Promise<Claims | undefined> {
    let imported = this.#publicKeys.get(key.keyId);
    if (!imported) {
      imported = importSPKI(key.publicKey.export({ type: "spki", format: "pem" }) as string, key.algorithm);
      this.#publicKeys.set(key.keyId, imported);
    }
    try {
      const { payload } = await compactVerify(token, await imported, { algorithms: [key.algorithm] });
      return JSON.parse(new TextDecoder().decode(payload)) as Claims;
    } catch {
      // Which way a signature fails is of no use to anyone who sent it; the next key is tried.
      return undefined;
    }
  }

  #userOf(claims: Claims): User {
    const now_s = this.now_ms() / 1000;
    if (claims.exp === undefined || now_s > claims.exp + leeway_s)
      throw new TokenError("service account token has expired");
    if (claims.nbf !== undefined && now_s + leeway_s < claims.nbf)
      throw new TokenError("service account token is not valid yet");
    if (claims.iat !== undefined && now_s + leeway_s < claims.iat)
      throw new TokenError("service account token is issued in the future");
    const { namespace = "", serviceaccount, pod, secret, node, warnafter } = claims["kubernetes.io"] ?? {};
    if (!namespace || !serviceaccount?.name)
      throw new TokenError("service account token claims could not be validated");

    const account = this.reader.get(serviceAccounts, { namespace, name: serviceaccount.name });
    if (!account) throw new TokenError(`serviceaccounts "${serviceaccount.name}" not found`);
    if (account.metadata.uid !== serviceaccount.uid)
      throw new TokenError(
        `service account UID (${account.metadata.uid}) does not match claim (${serviceaccount.uid ?? ""})`,
      );
    if (this.#longDeleted(account))
      throw new TokenError(`service account ${namespace}/${serviceaccount.name} has been deleted`);
    if (secret) {
      const found = this.reader.get(secrets, { namespace, name: secret.name });
      this.#assertBound("secret", secret, found);
      if (found) this.options.secretUse?.note(found, serviceaccount.name, now_s * 1000);
    }
    if (pod) this.#assertBound("pod", pod, this.reader.get(pods, { namespace, name: pod.name }));
    if (node && !pod) this.#assertBound("node", node, this.reader.get(nodes, { name: node.name }));
    if (warnafter !== undefined && now_s > warnafter) staleTokens.add();
    else if (!secret) validTokens.add();
    return serviceAccountUser(namespace, serviceaccount, { pod, node, tokenId: claims.jti });
  }

  #assertBound(kind: string, reference: BoundReference, found: KubeObject | undefined): void {
    if (!found || this.#longDeleted(found)) throw new TokenError("service account token has been invalidated");
    if (found.metadata.uid !== reference.uid)
      throw new TokenError(
        `${kind} UID (${found.metadata.uid}) does not match service account ${kind} ref claim (${reference.uid ?? ""})`,
      );
  }

  /** A pod that is shutting down may go on using its token for the leeway after its grace period. */
  #longDeleted(object: KubeObject): boolean {
    const { deletionTimestamp } = object.metadata;
    return deletionTimestamp !== undefined && Date.parse(deletionTimestamp) < this.now_ms() - leeway_s * 1000;
  }
}

/** The user that a service account is to authorisation and audit. */
function serviceAccountUser(
  namespace: string,
  account: BoundReference,
  bound: {
    readonly pod?: BoundReference | undefined;
    readonly node?: BoundReference | undefined;
    readonly tokenId?: string | undefined;
  } = {},
): User {
  const extra: Record<string, string[]> = {
    ...(bound.tokenId ? { [credentialIdKey]: [`JTI=${bound.tokenId}`] } : {}),
    ...(bound.pod
      ? {
          "authentication.kubernetes.io/pod-name": [bound.pod.name],
          "authentication.kubernetes.io/pod-uid": [bound.pod.uid ?? ""],
        }
      : {}),
    ...(bound.node
      ? {
          "authentication.kubernetes.io/node-name": [bound.node.name],
          ...(bound.node.uid ? { "authentication.kubernetes.io/node-uid": [bound.node.uid] } : {}),
        }
      : {}),
  };
  return {
    name: `system:serviceaccount:${namespace}:${account.name}`,
    ...(account.uid ? { uid: account.uid } : {}),
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`],
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

function headerOf(token: string): { kid?: string } {
  return (decodePart(token.split(".")[0]) ?? {}) as { kid?: string };
}

/** Looked at before the signature, only to see whose token it is. */
function unverifiedIssuer(token: string): string | undefined {
  const parts = token.split(".");
  if (parts.length !== 3) return undefined;
  return (decodePart(parts[1]) as Claims | undefined)?.iss;
}

function decodePart(part: string | undefined): object | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part ?? "", "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    // Not a JWT, so not ours.
    return undefined;
  }
}
