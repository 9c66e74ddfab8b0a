/** An HTTPS server that is an issuer of ID tokens (OpenID Connect). */
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";

export interface SigningKey {
  readonly kid: string;
  readonly key: CryptoKey;
  readonly jwk: JWK;
}

export interface Claims {
  readonly [claim: string]: unknown;
}

export async function signingKey(kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
  return { kid, key: privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: "RS256", use: "sig" } };
}

export interface TokenIssuer {
  readonly url: string;
  /** PEM of who certifies it. */
  readonly ca: string;
  readonly first: SigningKey;
  /** What it publishes, and how often it was asked for that. */
  readonly published: { keys: JWK[]; asked: number; isAway: boolean };
  /** A token for `kubernetes`, unless the claims say otherwise. */
  sign(claims?: Claims, by?: SigningKey): Promise<string>;
  stop(): void;
}

/** Its discovery document lies below its URL, and at /elsewhere too. */
export async function startTokenIssuer(): Promise<TokenIssuer> {
  const authority = await createCertificateAuthority("issuer-ca");
  const serving = await issueCertificate(
    authority,
    { commonName: "issuer", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] },
    [extendedKeyUsages.serverAuth],
  );
  const first = await signingKey("first");
  const published = { keys: [first.jwk], asked: 0, isAway: false };
  let url = "";
  const server = createServer({ key: serving.keyPem, cert: serving.certificatePem }, (request, response) => {
    if (published.isAway) return void response.writeHead(503).end();
    response.setHeader("content-type", "application/json");
    if (["/.well-known/openid-configuration", "/elsewhere"].includes(request.url ?? ""))
      return void response.end(JSON.stringify({ issuer: url, jwks_uri: `${url}/keys` }));
    published.asked += 1;
    response.end(JSON.stringify({ keys: published.keys }));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    ca: authority.certificatePem,
    first,
    published,
    sign(claims = {}, by = first) {
      const now_s = Math.floor(Date.now() / 1000);
      return new SignJWT({ iss: url, aud: "kubernetes", sub: "1", iat: now_s, exp: now_s + 600, ...claims })
        .setProtectedHeader({ alg: "RS256", kid: by.kid })
        .sign(by.key);
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
