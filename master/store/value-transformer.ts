import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { writeFileAtomically } from "./write-file-atomically.ts";

/** Turns a value into what rests in the store and back. Synchronous: it runs inside a transaction. */
export interface ValueTransformer {
  toStorage(key: string, value: string): string;
  fromStorage(key: string, stored: string): string;
}

export const plainText: ValueTransformer = {
  toStorage: (_key, value) => value,
  fromStorage: (_key, stored) => stored,
};

const MARK = "bramble:aesgcm:v1:";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256-GCM for keys under `prefixes`, bound to the key by the additional data, so that a value cannot be moved to
 *  another key. What was written before encryption is read as it is. Throws when a value was made with another key. */
export function aesGcmTransformer(secret: Uint8Array, prefixes: readonly string[]): ValueTransformer {
  const keyId = createHash("sha256").update(secret).digest("hex").slice(0, 8);
  const mark = `${MARK}${keyId}:`;
  return {
    toStorage(key, value) {
      if (!prefixes.some((prefix) => key.startsWith(prefix))) return value;
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", secret, nonce);
      cipher.setAAD(Buffer.from(key));
      const sealed = Buffer.concat([nonce, cipher.update(value, "utf8"), cipher.final(), cipher.getAuthTag()]);
      return mark + sealed.toString("base64");
    },
    fromStorage(key, stored) {
      if (!stored.startsWith(MARK)) return stored;
      if (!stored.startsWith(mark)) throw new Error(`the value of ${key} was encrypted with another key than ${keyId}`);
      const sealed = Buffer.from(stored.slice(mark.length), "base64");
      const decipher = createDecipheriv("aes-256-gcm", secret, sealed.subarray(0, NONCE_BYTES));
      decipher.setAAD(Buffer.from(key));
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      const body = sealed.subarray(NONCE_BYTES, -TAG_BYTES);
      return decipher.update(body, undefined, "utf8") + decipher.final("utf8");
    },
  };
}

const KEY_BYTES = 32;

/** The key in `path` (base64, mode 0600), made on first use. */
export function loadEncryptionKey(path: string): Uint8Array {
  if (existsSync(path)) {
    return parseEncryptionKey(readFileSync(path, "utf8"), path);
  }
  const key = randomBytes(KEY_BYTES);
  writeFileAtomically(path, `${key.toString("base64")}\n`, 0o600);
  return key;
}

/** Throws when the text of the file is no key. */
export function parseEncryptionKey(text: string, path: string): Uint8Array {
  const key = Buffer.from(text.trim(), "base64");
  if (key.length !== KEY_BYTES) throw new Error(`${path} does not hold a ${KEY_BYTES}-byte key in base64`);
  return key;
}
