import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { cryptoProvider, PemConverter } from "@peculiar/x509";

cryptoProvider.set(webcrypto as unknown as Crypto);

const ecdsa = { name: "ECDSA", namedCurve: "P-256" } as const;

/** How everything here is signed. */
export const signing = { name: "ECDSA", hash: "SHA-256" } as const;

export const dayMs = 86_400_000;

/** A new ECDSA P-256 pair. */
export const generateKeys = async (): Promise<CryptoKeyPair> =>
  (await webcrypto.subtle.generateKey(ecdsa, true, ["sign", "verify"])) as CryptoKeyPair;

/** 16 random bytes, positive as DER sees it. */
export function randomSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

/** PKCS #8, as PEM. */
export async function exportKey(key: CryptoKey): Promise<string> {
  return pemText(
    PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key as webcrypto.CryptoKey), "PRIVATE KEY"),
  );
}

/** PEM text that ends with a line break, as other programs write it. */
export const pemText = (pem: string): string => (pem.endsWith("\n") ? pem : `${pem}\n`);
