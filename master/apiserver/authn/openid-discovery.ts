import { publicJwk } from "#shared/pki/service-account-key.ts";
import { requireOnly } from "../http/negotiate.ts";
import { notServed } from "../registry/request-target.ts";
import type { PathAnswer } from "../server-parts.ts";
import type { ServiceAccountIssuer } from "./service-account-issuer.ts";

export interface OpenIdDocument {
  readonly contentType: string;
  readonly body: string;
  readonly cacheControl: string;
}

const configurationPath = "/.well-known/openid-configuration";
const jwksPath = "/openid/v1/jwks";

/** OpenID Connect discovery for service account tokens: what each path answers. `externalAddress` is host:port as
 *  clients reach the API; jwks_uri is made of it, unless the issuer has one of its own. */
export function openIdDocuments(
  issuer: ServiceAccountIssuer,
  externalAddress: string,
): Readonly<Record<typeof configurationPath | typeof jwksPath, OpenIdDocument>> {
  const algorithms = [...new Set(issuer.keys.map((key) => key.algorithm))].sort();
  const cacheControl = "public, max-age=3600";
  return {
    [configurationPath]: {
      contentType: "application/json",
      cacheControl,
      body: JSON.stringify({
        issuer: issuer.issuer,
        jwks_uri: issuer.jwksUri ?? `https://${externalAddress}${jwksPath}`,
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: algorithms,
      }),
    },
    [jwksPath]: {
      contentType: "application/jwk-set+json",
      cacheControl,
      body: JSON.stringify({ keys: issuer.keys.map(publicJwk) }),
    },
  };
}

/** The same, for the API server's table of paths; also with a slash at the end, as old clients ask. */
export function openIdPaths(
  issuer: ServiceAccountIssuer,
  externalAddress: () => string,
): Readonly<Record<string, PathAnswer>> {
  const handlers = ([configurationPath, jwksPath] as const).flatMap((path) => {
    // Made for each request: keys are rotated while the server runs, and the documents are small and rarely asked for.
    const handler: PathAnswer = async ({ headers, method }) => {
      if (method !== "GET") throw notServed();
      const { contentType, cacheControl, body } = openIdDocuments(issuer, externalAddress())[path];
      requireOnly(headers["accept"], contentType);
      return { kind: "bytes", code: 200, contentType, headers: { "cache-control": cacheControl }, body };
    };
    return [
      [path, handler],
      [`${path}/`, handler],
    ] as const;
  });
  return Object.fromEntries(handlers);
}
