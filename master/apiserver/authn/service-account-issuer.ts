import { randomUUID } from "node:crypto";
import { type CryptoKey, importPKCS8, SignJWT } from "jose";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { ServiceAccountKey } from "#shared/pki/service-account-key.ts";

/** Name and UID of an object that a token is bound to. */
export interface BoundReference {
  readonly name: string;
  readonly uid?: string | undefined;
}

/** The private claim `kubernetes.io` of a service account token. */
export interface KubernetesClaim {
  readonly namespace: string;
  readonly serviceaccount: BoundReference;
  readonly pod?: BoundReference | undefined;
  readonly secret?: BoundReference | undefined;
  readonly node?: BoundReference | undefined;
  /** Seconds since 1970: after this a client should have asked for a newer token. */
  readonly warnafter?: number | undefined;
}

export interface TokenClaims {
  readonly kubernetes: KubernetesClaim;
  readonly audiences: readonly string[];
  /** Seconds since 1970. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

export interface IssuedToken {
  readonly token: string;
  /** `jti` of the token. */
  readonly id: string;
}

/** The issuer of a cluster with that DNS domain. */
export function clusterIssuer(clusterDomain: string, keys: readonly ServiceAccountKey[]): ServiceAccountIssuer {
  return new ServiceAccountIssuer(clusterIssuerUrl(clusterDomain), keys);
}

const clusterIssuerUrl = (clusterDomain: string): string => `https://kubernetes.default.svc.${clusterDomain}`;

type IssuerSettings = Pick<
  MasterSettings,
  "clusterDomain" | "serviceAccountIssuer" | "apiAudiences" | "serviceAccountJwksUri"
>;

/** The issuer that the settings describe. Throws ConfigError, worded as upstream. */
export function issuerOf(settings: IssuerSettings, keys: readonly ServiceAccountKey[]): ServiceAccountIssuer {
  const { serviceAccountIssuer: given, serviceAccountJwksUri: jwksUri } = settings;
  for (const [index, issuer] of given.entries()) {
    if (issuer.includes(":") && !URL.canParse(issuer))
      throw new ConfigError(`service-account-issuer ${JSON.stringify(issuer)} contained a ':' but was not a valid URL`);
    if (given.indexOf(issuer) !== index)
      throw new ConfigError(`service-account-issuer ${JSON.stringify(issuer)} is already specified`);
  }
  if (jwksUri !== "" && !URL.canParse(jwksUri)) throw new ConfigError("service-account-jwks-uri must be a valid URL");
  if (jwksUri !== "" && new URL(jwksUri).protocol !== "https:")
    throw new ConfigError(`service-account-jwks-uri requires https scheme, parsed as: ${jwksUri}`);
  const [issuer = clusterIssuerUrl(settings.clusterDomain), ...former] = given;
  const audiences = settings.apiAudiences.length > 0 ? settings.apiAudiences : [issuer, ...former];
  return new ServiceAccountIssuer(issuer, keys, audiences, { former, jwksUri });
}

/** Signs service account tokens. One issuer URL for the cluster, however many masters sign. */
export class ServiceAccountIssuer {
  #keys: readonly ServiceAccountKey[] = [];
  #key!: ServiceAccountKey;
  #signingKey: Promise<CryptoKey> | undefined;

  constructor(
    readonly issuer: string,
    keys: readonly ServiceAccountKey[],
    /** What tokens for the API server itself are for. */
    readonly apiAudiences: readonly string[] = [issuer],
    private readonly more: { readonly former?: readonly string[]; readonly jwksUri?: string } = {},
  ) {
    this.use(keys);
  }

  /** Whether tokens of that issuer are this one's: also those by a name that it had before. */
  isIssuer(name: string): boolean {
    return name === this.issuer || (this.more.former ?? []).includes(name);
  }

  /** Where others are told to find the keys; undefined: at the API server itself. */
  get jwksUri(): string | undefined {
    return this.more.jwksUri || undefined;
  }

  /** The first private key signs, all verify. */
  get keys(): readonly ServiceAccountKey[] {
    return this.#keys;
  }

  /** Other keys from now on. */
  use(keys: readonly ServiceAccountKey[]): void {
    const key = keys.find((candidate) => candidate.privateKey);
    if (!key) throw new Error("no private key to sign service account tokens with");
    this.#keys = keys;
    this.#key = key;
    this.#signingKey = undefined;
  }

  async issue(claims: TokenClaims): Promise<IssuedToken> {
    const id = randomUUID();
    const [key, signing] = [this.#key, this.#signing()];
    const token = await new SignJWT({
      aud: [...claims.audiences],
      exp: claims.expiresAt,
      iat: claims.issuedAt,
      iss: this.issuer,
      jti: id,
      "kubernetes.io": claims.kubernetes,
      nbf: claims.issuedAt,
      sub: `system:serviceaccount:${claims.kubernetes.namespace}:${claims.kubernetes.serviceaccount.name}`,
    })
      .setProtectedHeader({ alg: key.algorithm, kid: key.keyId })
      .sign(await signing);
    return { token, id };
  }

  #signing(): Promise<CryptoKey> {
    const { privateKey, algorithm } = this.#key;
    if (!privateKey) throw new Error("no private key to sign service account tokens with");
    this.#signingKey ??= importPKCS8(privateKey.export({ type: "pkcs8", format: "pem" }) as string, algorithm);
    return this.#signingKey;
  }
}
