import { encryptionKeysIn } from "./encryption-keys.ts";
import { aesGcmTransformer, type ValueTransformer } from "./value-transformer.ts";

/** How values rest. */
export interface Encryption {
  /** The cluster's own keys, made on first use. */
  readonly keyFile: string;
  /** What they encrypt. */
  readonly prefixes: readonly string[];
  /** A person's own EncryptionConfiguration; `follows`: looked at again when it has changed. */
  readonly providers?: { readonly path: string; readonly follows: boolean } | undefined;
}

/** Rejects with ConfigError for a configuration that is no good, which few have: its ciphers are loaded then. */
export async function restingTransformer({ keyFile, prefixes, providers }: Encryption): Promise<ValueTransformer> {
  const own = aesGcmTransformer(encryptionKeysIn(keyFile), prefixes);
  if (!providers) return own;
  const { configuredTransformer } = await import("./encryption-configuration.ts");
  return configuredTransformer(providers.path, own, providers.follows);
}

interface Settings {
  readonly encryptionProviderConfig?: string | undefined;
  readonly encryptionProviderConfigAutomaticReload?: boolean | undefined;
}

export function providersOf(settings: Settings): Encryption["providers"] {
  const { encryptionProviderConfig: path, encryptionProviderConfigAutomaticReload: follows = true } = settings;
  return path ? { path, follows } : undefined;
}
