import { type CipherGCMTypes, createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const algorithmOf = (secret: Uint8Array) => `aes-${secret.length * 8}-gcm` as CipherGCMTypes;

/** A value encrypted by AES-GCM: nonce, text, tag. Bound to its key in the store, so that it cannot be moved to another one. */
export function sealGcm(secret: Uint8Array, key: string, value: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(algorithmOf(secret), secret, nonce);
  cipher.setAAD(Buffer.from(key));
  return Buffer.concat([nonce, cipher.update(value, "utf8"), cipher.final(), cipher.getAuthTag()]);
}

/** Throws for what was not sealed so under this secret, for this key. */
export function openGcm(secret: Uint8Array, key: string, sealed: Buffer): string {
  const decipher = createDecipheriv(algorithmOf(secret), secret, sealed.subarray(0, NONCE_BYTES));
  decipher.setAAD(Buffer.from(key));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  return decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES), undefined, "utf8") + decipher.final("utf8");
}
