import type { Log } from "#shared/client/log.ts";
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
  const [{ EncryptionProviders }, { SealingStore }, { groupOfBuiltIn }] = await Promise.all([
    import("./encryption/providers.ts"),
    import("./encryption/sealing-store.ts"),
    import("./encryption/built-in-groups.ts"),
  ]);
  const own = restingTransformer(encryption);
  const providers = await EncryptionProviders.open({ path, follows, own, groupOf: groupOfBuiltIn, log });
  try {
    return new SealingStore(await open(undefined), providers);
  } catch (error) {
    providers.close();
    throw error;
  }
}
