import { publicJwk } from "#shared/pki/service-account-key.ts";
import type { ServiceAccountIssuer } from "./service-account-issuer.ts";

export interface OpenIdDocument {
  readonly contentType: string;
  readonly body: string;
  readonly cacheControl: string;
}

const jwksPath = "/openid/v1/jwks";

/** OpenID Connect discovery for service account tokens: what each path answers. `externalAddress` is host:port as
 *  clients reach the API; jwks_uri is made of it. */
export function openIdDocuments(
  issuer: ServiceAccountIssuer,
  externalAddress: string,
): Readonly<Record<"/.well-known/openid-configuration" | "/openid/v1/jwks", OpenIdDocument>> {
  const algorithms = [...new Set(issuer.keys.map((key) => key.algorithm))].sort();
  const cacheControl = "public, max-age=3600";
  return {
    "/.well-known/openid-configuration": {
      contentType: "application/json",
      cacheControl,
      body: JSON.stringify({
        issuer: issuer.issuer,
        jwks_uri: `https://${externalAddress}${jwksPath}`,
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: algorithms,
      }),
    },
    "/openid/v1/jwks": {
      contentType: "application/jwk-set+json",
      cacheControl,
      body: JSON.stringify({ keys: issuer.keys.map(publicJwk) }),
    },
  };
}
