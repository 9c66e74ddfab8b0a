/** How values are encrypted by what a key service keeps: upstream's AES-GCM with an extended nonce (pkg/storage/value/encrypt/aes). */
import { createHmac, randomBytes } from "node:crypto";
import { openGcm, sealGcm } from "../aes-gcm.ts";

export const seed_bytes = 32;
const info_bytes = 32;

/** Encrypts each value under a key of its own, which HKDF-Expand (SHA-256) makes of the seed and 32 random bytes before the value. */
export function sealBySeed(seed: Uint8Array, key: string, value: string): Buffer {
  const info = randomBytes(info_bytes);
  return Buffer.concat([info, sealGcm(derivedKey(seed, info), key, value)]);
}

/** Throws for what was not sealed so for this key. */
export function openBySeed(seed: Uint8Array, key: string, sealed: Buffer): string {
  if (sealed.length < info_bytes) throw new Error("the stored data was shorter than the required size");
  return openGcm(derivedKey(seed, sealed.subarray(0, info_bytes)), key, sealed.subarray(info_bytes));
}

/** The first block of HKDF-Expand is as long as the key. */
const derivedKey = (seed: Uint8Array, info: Uint8Array): Buffer =>
  createHmac("sha256", seed).update(info).update(Buffer.of(1)).digest();
