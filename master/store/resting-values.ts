import type { Log } from "#shared/client/log.ts";
import type { EncryptionProviders } from "./encryption/providers.ts";
import { encryptionKeysIn } from "./encryption-keys.ts";
import type { Store } from "./store.ts";
import { aesGcmTransformer, type ValueTransformer } from "./value-transformer.ts";

/** How values rest. */
export interface Encryption {
  /** The cluster's own keys, made on first use. */
  readonly keyFile: string;
  /** What they encrypt. */
  readonly prefixes: readonly string[];
}

export const restingTransformer = ({ keyFile, prefixes }: Encryption): ValueTransformer =>
  aesGcmTransformer(encryptionKeysIn(keyFile), prefixes);

interface Settings {
  readonly encryptionProviderConfig?: string | undefined;
  readonly encryptionProviderConfigAutomaticReload?: boolean | undefined;
}

/** How values rest, without a store. */
export interface RestingValues {
  /** Throws KeyServiceError. */
  toStorage(key: string, value: string): string;
  /** Throws UnknownEncryptionKeyError; rejects with KeyServiceError. */
  fromStorage(key: string, stored: string): string | Promise<string>;
  close(): void;
}

/** As the configuration has it that the settings name, and as `own` has it what that does not speak of. Rejects with ConfigError. */
export async function openRestingValues(
  { encryptionProviderConfig: path }: Settings,
  own: ValueTransformer,
  log: Log,
): Promise<RestingValues> {
  return path ? openProviders(path, false, own, log) : { ...own, close: () => undefined };
}

async function openProviders(
  path: string,
  follows: boolean,
  own: ValueTransformer,
  log: Log,
): Promise<EncryptionProviders> {
  const [{ EncryptionProviders }, { groupOfBuiltIn }] = await Promise.all([
    import("./encryption/providers.ts"),
    import("./encryption/built-in-groups.ts"),
  ]);
  return EncryptionProviders.open({ path, follows, own, groupOf: groupOfBuiltIn, log });
}

/**
 * The store that `open` opens, whose values rest as a person's own EncryptionConfiguration has it where there is one; what that does not
 * speak of, and all values where there is none, rest under the cluster's own keys. Rejects with ConfigError for a configuration that is
 * no good. Few have one: what it takes is loaded then.
 */
export async function openSealed(
  { encryptionProviderConfig: path, encryptionProviderConfigAutomaticReload: follows = true }: Settings,
  encryption: Encryption,
  log: Log,
  open: (encryption: Encryption | undefined) => Promise<Store>,
): Promise<Store> {
  if (!path) return open(encryption);
  const { SealingStore } = await import("./encryption/sealing-store.ts");
  const providers = await openProviders(path, follows, restingTransformer(encryption), log);
  try {
    return new SealingStore(await open(undefined), providers);
  } catch (error) {
    providers.close();
    throw error;
  }
}
