/** The values of a backup, out of the form in which they rest. */
import type { Log } from "#shared/client/log.ts";
import { KeyServiceError } from "../store/encryption/key-service-error.ts";
import { ownKeyOf } from "../store/encryption/sealed-text.ts";
import { encryptedPrefixes, parseEncryptionKeys } from "../store/encryption-keys.ts";
import { openRestingValues, type RestingValues } from "../store/resting-values.ts";
import { encryptionKeyFile, type StoreSettings } from "../store/store-choice.ts";
import type { StateItem } from "../store/transfer.ts";
import {
  aesGcmTransformer,
  plainText,
  UnknownEncryptionKeyError,
  type ValueTransformer,
} from "../store/value-transformer.ts";
import { BackupError, type BackupHeader, readBackup } from "./archive.ts";

export interface OpenedBackup {
  readonly header: BackupHeader;
  /** As the API server stored them; each call begins anew. */
  state(): AsyncIterable<StateItem>;
  close(): void;
}

/** The backup is whole, and something in it is encrypted by what is not at hand. */
export class BackupSealedError extends BackupError {
  /** @param mayPass a key service does not answer now. */
  constructor(
    message: string,
    readonly mayPass: boolean,
  ) {
    super(`${message}. Nothing was changed`);
  }
}

type KeySettings = Pick<StoreSettings, "encryptionProviderConfig">;

/**
 * Reads a backup to its end, and sees that every value of it can be opened by the keys that it holds and those that the settings name, and
 * be sealed anew: who changes nothing before this resolves loses nothing. Rejects with BackupSealedError where one cannot, with
 * BackupError for a file that is not whole, with ConfigError for an EncryptionConfiguration that is no good.
 */
export async function openBackup(settings: KeySettings, path: string, log: Log): Promise<OpenedBackup> {
  const { header, isPlain, state } = await readBackup(path);
  const values = await openRestingValues(settings, isPlain ? plainText : clusterValues(header), log);
  const opening: Opening = { path, configuration: settings.encryptionProviderConfig, isPlain, values };
  try {
    for await (const item of opened(opening, state)) assertSealable(opening, item);
  } catch (error) {
    values.close();
    throw error;
  }
  return {
    header,
    close: () => values.close(),
    async *state() {
      yield* opened(opening, (await readBackup(path)).state);
    },
  };
}

interface Opening {
  readonly path: string;
  readonly configuration: string | undefined;
  readonly isPlain: boolean;
  readonly values: RestingValues;
}

/** By the cluster's own keys as they were then. */
function clusterValues({ files }: BackupHeader): ValueTransformer {
  const keys = parseEncryptionKeys(files[encryptionKeyFile] ?? "", encryptionKeyFile);
  return aesGcmTransformer(() => keys, encryptedPrefixes);
}

async function* opened(opening: Opening, state: AsyncIterable<StateItem>): AsyncGenerator<StateItem> {
  for await (const item of state)
    yield opening.isPlain ? item : { key: item.key, value: await openedValue(opening, item) };
}

async function openedValue({ path, configuration, values }: Opening, { key, value }: StateItem): Promise<string> {
  const own = ownKeyOf(value);
  const isSealed = `${path} holds values that are encrypted by ${own ?? "a key of the cluster"} (${key})`;
  if (own !== undefined && !configuration)
    throw new BackupSealedError(`${isSealed}: name the file that has it with --encryption-provider-config`, false);
  try {
    return await values.fromStorage(key, value);
  } catch (error) {
    if (error instanceof KeyServiceError)
      throw new BackupSealedError(
        `${isSealed}, which does not open them: ${error.message}. It must answer here, with the keys that it had then`,
        true,
      );
    if (!(error instanceof UnknownEncryptionKeyError)) throw error;
    const mend =
      own === undefined
        ? "which was not among the keys of the master that made it: take another backup"
        : `which ${configuration} does not have: put it back there, behind what encrypts now`;
    throw new BackupSealedError(`${isSealed}, ${mend}`, false);
  }
}

function assertSealable({ path, values }: Opening, { key, value }: StateItem): void {
  try {
    values.toStorage(key, value);
  } catch (error) {
    if (!(error instanceof KeyServiceError)) throw error;
    throw new BackupSealedError(
      `what ${path} holds could not be encrypted here (${key}), since the key service is not well: ${error.message}`,
      true,
    );
  }
}
