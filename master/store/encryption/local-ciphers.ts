/** Values encrypted by keys that stand in the EncryptionConfiguration itself. */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import nacl from "tweetnacl";
import { openGcm, sealGcm } from "../aes-gcm.ts";

export const ciphers = ["aescbc", "aesgcm", "secretbox"] as const;
export type Cipher = (typeof ciphers)[number];

export interface NamedKey {
  readonly cipher: Cipher;
  readonly name: string;
  readonly secret: Buffer;
}

/** In bytes. */
export const keyLengths: Readonly<Record<Cipher, readonly number[]>> = {
  aescbc: [16, 24, 32],
  aesgcm: [16, 24, 32],
  secretbox: [32],
};

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function sealLocally({ cipher, secret }: NamedKey, key: string, value: string): Buffer {
  switch (cipher) {
    case "aescbc": {
      const iv = randomBytes(16);
      const encrypt = createCipheriv(`aes-${secret.length * 8}-cbc`, secret, iv);
      return Buffer.concat([iv, encrypt.update(value, "utf8"), encrypt.final()]);
    }
    case "aesgcm":
      return sealGcm(secret, key, value);
    case "secretbox": {
      const nonce = randomBytes(nacl.secretbox.nonceLength);
      return Buffer.concat([nonce, nacl.secretbox(Buffer.from(value, "utf8"), nonce, secret)]);
    }
    default:
      return cipher satisfies never;
  }
}

/** Undefined for what was not sealed so under this key. */
export function openLocally({ cipher, secret }: NamedKey, key: string, sealedBytes: Buffer): string | undefined {
  try {
    switch (cipher) {
      case "aescbc": {
        const decrypt = createDecipheriv(`aes-${secret.length * 8}-cbc`, secret, sealedBytes.subarray(0, 16));
        // Of 256 strangers' keys one finds padding that fits, but hardly any finds text.
        return utf8.decode(Buffer.concat([decrypt.update(sealedBytes.subarray(16)), decrypt.final()]));
      }
      case "aesgcm":
        return openGcm(secret, key, sealedBytes);
      case "secretbox": {
        const { nonceLength } = nacl.secretbox;
        const box = sealedBytes.subarray(nonceLength);
        const opened = nacl.secretbox.open(box, sealedBytes.subarray(0, nonceLength), secret);
        return opened ? Buffer.from(opened).toString("utf8") : undefined;
      }
      default:
        return cipher satisfies never;
    }
  } catch {
    // By whatever it fails: the value is not this key's.
    return undefined;
  }
}
