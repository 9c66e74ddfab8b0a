import { join } from "node:path";
import { encryptionKeysIn } from "../store/encryption-keys.ts";
import { encryptionKeyFile } from "../store/store-choice.ts";
import { aesGcmTransformer, type ValueTransformer } from "../store/value-transformer.ts";

/** Seals and opens key files that masters share in a Secret, by name. */
export interface KeysSeal {
  close(name: string, text: string): string;
  /** What an older version has left open is taken as it is. */
  open(name: string, text: string): string;
}

const sealedPrefix = "bramble-cluster-keys/";

/** By the keys in a master's data folder. They are there once its store was opened, so they are read only when they are needed. */
export function keysSealIn(dataDir: string): KeysSeal {
  let transformer: ValueTransformer | undefined;
  const opened = (): ValueTransformer => {
    transformer ??= aesGcmTransformer(encryptionKeysIn(join(dataDir, encryptionKeyFile)), [sealedPrefix]);
    return transformer;
  };
  return {
    close: (name, text) => opened().toStorage(sealedPrefix + name, text),
    open: (name, text) => opened().fromStorage(sealedPrefix + name, text),
  };
}
