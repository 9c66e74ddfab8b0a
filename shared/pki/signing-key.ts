import { createPrivateKey, webcrypto } from "node:crypto";

/** A private key with the algorithm by which it signs certificates. */
export interface SigningKey {
  readonly signingKey: CryptoKey;
  readonly signingAlgorithm: { readonly name: "ECDSA" | "RSASSA-PKCS1-v1_5"; readonly hash: string };
}

/** By OpenSSL's names; the hash is as wide as the curve (RFC 5656, 6.2.1). */
const curves: Readonly<Record<string, { readonly namedCurve: string; readonly hash: string }>> = {
  prime256v1: { namedCurve: "P-256", hash: "SHA-256" },
  secp384r1: { namedCurve: "P-384", hash: "SHA-384" },
  secp521r1: { namedCurve: "P-521", hash: "SHA-512" },
};

/** Reads the key of an authority, ours or one that others made: RSA or an elliptic curve, in PKCS #8 or in the older forms that
 *  kubeadm and openssl write. Throws for keys of other kinds. */
export async function importSigningKey(pem: string): Promise<SigningKey> {
  const key = createPrivateKey(pem);
  const { namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  const curve = curves[namedCurve];
  const kind = key.asymmetricKeyType;
  if (kind !== "rsa" && !curve) throw new Error(`an authority signs with RSA or ECDSA, not with ${namedCurve || kind}`);
  const { hash } = curve ?? { hash: "SHA-256" };
  const algorithm = curve
    ? { name: "ECDSA" as const, namedCurve: curve.namedCurve }
    : { name: "RSASSA-PKCS1-v1_5" as const, hash };
  const der = key.export({ type: "pkcs8", format: "der" });
  const signingKey = await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
  return { signingKey: signingKey as CryptoKey, signingAlgorithm: { name: algorithm.name, hash } };
}
