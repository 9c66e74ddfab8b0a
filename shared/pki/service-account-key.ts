import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import type { JWK } from "jose";

/** A key that signs or verifies service account tokens. */
export interface ServiceAccountKey {
  /** As upstream derives it: base64url of the SHA-256 of the DER-encoded public key. */
  readonly keyId: string;
  readonly algorithm: "ES256" | "ES384" | "ES512" | "RS256";
  readonly publicKey: KeyObject;
  /** Absent for a key that only verifies. */
  readonly privateKey?: KeyObject | undefined;
}

class ServiceAccountKeyError extends Error {
  override readonly name = "ServiceAccountKeyError";
}

/** Makes a P-256 signing key as PKCS #8 PEM: small and fast on a Pi, and every client that reads a key set knows it. */
export function createServiceAccountKey(): string {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
    type: "pkcs8",
    format: "pem",
  }) as string;
}

/** Reads every private or public key in a PEM text, and those of certificates, in order; the first private key signs. */
export function parseServiceAccountKeys(pem: string): ServiceAccountKey[] {
  const blocks = pem.match(/-----BEGIN ([A-Z ]*KEY|CERTIFICATE)-----[\s\S]*?-----END \1-----/g) ?? [];
  if (blocks.length === 0) throw new ServiceAccountKeyError("no key found in the service account key file");
  return blocks.map((block) => {
    if (block.includes("CERTIFICATE")) return keyFrom(new X509Certificate(block).publicKey, undefined);
    if (!block.includes("PRIVATE KEY")) return keyFrom(createPublicKey(block), undefined);
    const privateKey = createPrivateKey(block);
    return keyFrom(createPublicKey(block), privateKey);
  });
}

/** The public half as an entry of a JSON Web Key Set (RFC 7517). */
export function publicJwk(key: ServiceAccountKey): JWK {
  const jwk = key.publicKey.export({ format: "jwk" }) as JWK;
  return { use: "sig", kty: jwk.kty as string, kid: key.keyId, alg: key.algorithm, ...jwk };
}

function keyFrom(publicKey: KeyObject, privateKey: KeyObject | undefined): ServiceAccountKey {
  const der = publicKey.export({ type: "spki", format: "der" });
  return {
    keyId: createHash("sha256").update(der).digest("base64url"),
    algorithm: algorithmOf(publicKey),
    publicKey,
    privateKey,
  };
}

function algorithmOf(key: KeyObject): ServiceAccountKey["algorithm"] {
  if (key.asymmetricKeyType === "rsa") return "RS256";
  const { crv } = key.export({ format: "jwk" }) as JWK;
  if (crv === "P-256") return "ES256";
  if (crv === "P-384") return "ES384";
  if (crv === "P-521") return "ES512";
  throw new ServiceAccountKeyError(`service account keys are RSA or ECDSA, not ${key.asymmetricKeyType ?? "unknown"}`);
}
