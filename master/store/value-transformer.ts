import { openGcm, sealGcm } from "./aes-gcm.ts";
import type { EncryptionKeys } from "./encryption-keys.ts";

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

/** A value rests under a key that is not there (any more): told as what else is wrong with a master's keys. */
export class UnknownEncryptionKeyError extends Error {
  override readonly name = "PkiError";
}

/** What a value is read as; where its key is not there, it is told as sealed rather than keep all others from being read. */
export function openOrTell(
  transformer: ValueTransformer,
  key: string,
  stored: string,
): { readonly value: string; readonly sealed?: string } {
  try {
    return { value: transformer.fromStorage(key, stored) };
  } catch (error) {
    if (!(error instanceof UnknownEncryptionKeyError)) throw error;
    return { value: "", sealed: error.message };
  }
}

const isUnknown = (key: string, keyId: string): UnknownEncryptionKeyError =>
  new UnknownEncryptionKeyError(
    `the value of ${key} was encrypted with a key (${keyId}) that this master does not have. If the key was changed while it was ` +
      "away, start it once with --server URL of another master and --token of `bramble token create --master` there",
  );

/** AES-256-GCM for keys under `prefixes`, bound to the key by the additional data, so that a value cannot be moved to
 *  another key. The first of `keys` encrypts, all decrypt; asked at every value, since they change while the store is open.
 *  What was written before encryption is read as it is, and so is what was not sealed for its key. Throws UnknownEncryptionKeyError. */
export function aesGcmTransformer(keys: () => EncryptionKeys, prefixes: readonly string[]): ValueTransformer {
  return {
    toStorage(key, value) {
      if (!prefixes.some((prefix) => key.startsWith(prefix))) return value;
      const { secret, keyId } = keys().writing;
      return `${MARK}${keyId}:${sealGcm(secret, key, value).toString("base64")}`;
    },
    fromStorage(key, stored) {
      if (!stored.startsWith(MARK)) return stored;
      const end = stored.indexOf(":", MARK.length);
      const keyId = stored.slice(MARK.length, end);
      const { writing, others } = keys();
      const found = [writing, ...others].find((one) => one.keyId === keyId);
      if (!found) throw isUnknown(key, keyId);
      return opened(key, found.secret, Buffer.from(stored.slice(end + 1), "base64")) ?? stored;
    },
  };
}

/** Undefined for what was not sealed so under this key: then a hand has put it there. It must not keep all others from being read. */
function opened(key: string, secret: Uint8Array, sealed: Buffer): string | undefined {
  try {
    return openGcm(secret, key, sealed);
  } catch {
    return undefined;
  }
}
