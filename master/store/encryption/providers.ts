/** How values rest by a person's own EncryptionConfiguration. */
import type { Log } from "#shared/client/log.ts";
import { configurationText } from "#shared/config/document.ts";
import { FollowedFile } from "#shared/config/followed-file.ts";
import { tellAlso } from "#shared/metrics/process-families.ts";
import { UnknownEncryptionKeyError, type ValueTransformer } from "../value-transformer.ts";
import { type EncryptionConfiguration, type KmsConfiguration, parseEncryptionConfiguration } from "./configuration.ts";
import { encryptionFamilies, reloaded } from "./encryption-metrics.ts";
import { KeyServiceError } from "./key-service-error.ts";
import type { KmsProvider, KmsProviderOptions } from "./kms-provider.ts";
import { type NamedKey, openLocally, sealLocally } from "./local-ciphers.ts";
import { readSealedText, sealedText } from "./sealed-text.ts";

export interface ProvidersOptions {
  readonly path: string;
  /** The file is read again when it has changed. */
  readonly follows: boolean;
  /** Encrypts what the configuration does not speak of. */
  readonly own: ValueTransformer;
  /** Of a built-in resource, by its plural. */
  readonly groupOf: (plural: string) => string | undefined;
  readonly log: Log;
}

/** A configuration in force. */
interface Applied {
  readonly configuration: EncryptionConfiguration;
  /** Of all rules: what rests under one can be read. */
  readonly keys: readonly NamedKey[];
  readonly kms: readonly RunningKms[];
}

interface RunningKms {
  readonly configuration: KmsConfiguration;
  readonly provider: KmsProvider;
}

const setting = "encryption-provider-config";
/** New providers of a changed file have so long to be well, as upstream's have; then the file is tried again. */
const wellWithin_ms = 10_000;
const lookAgain_ms = 100;
const tryAgain_ms = 60_000;

export class EncryptionProviders {
  readonly #options: ProvidersOptions;
  readonly #file: FollowedFile<EncryptionConfiguration> | undefined;
  #applied: Applied;
  #applying: Promise<void> | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  readonly #tellNoMore = tellAlso(encryptionFamilies);
  readonly #readers: Set<() => void>;

  private constructor(
    options: ProvidersOptions,
    applied: Applied,
    file: FollowedFile<EncryptionConfiguration> | undefined,
    readers: Set<() => void>,
  ) {
    this.#readers = readers;
    this.#options = options;
    this.#applied = applied;
    this.#file = file;
  }

  /** Key services are asked once before this resolves, and need not answer. Rejects with ConfigError for a file that is no good; later
   *  such a change is passed over. */
  static async open(options: ProvidersOptions): Promise<EncryptionProviders> {
    const { path, follows, log } = options;
    const parse = (text: string): EncryptionConfiguration => parseEncryptionConfiguration(text, path);
    let opened: EncryptionProviders | undefined;
    const changed = (): void => opened?.apply();
    const file = follows ? new FollowedFile({ path, setting, parse, changed, log }) : undefined;
    const configuration = file?.current ?? parse(configurationText(path));
    const readers = new Set<() => void>();
    const applied = await start(configuration, [], { log, onWell: () => tellAll(readers) });
    opened = new EncryptionProviders(options, applied, file, readers);
    // What has changed meanwhile.
    opened.apply();
    return opened;
  }

  /** Throws KeyServiceError where the key service is not well for too long. */
  toStorage(key: string, value: string): string {
    const { configuration, kms } = this.#applied;
    const concerned = resourceOf(key, this.#options.groupOf);
    const rule =
      concerned && configuration.rules.find(({ resources }) => resources.some((each) => each.concerns(...concerned)));
    if (!rule) return this.#options.own.toStorage(key, value);
    const [provider] = rule.providers;
    switch (provider?.kind) {
      case "keys": {
        const [first] = provider.keys;
        if (!first) return value;
        return sealedText({ kind: `${first.cipher}:v1`, name: first.name, bytes: sealLocally(first, key, value) });
      }
      case "kms": {
        const { name } = provider.kms;
        const running = kms.find((each) => each.configuration.name === name);
        if (!running) throw new KeyServiceError(`the key service ${name} is not asked any more`);
        return sealedText({ kind: "kms:v2", name, bytes: running.provider.seal(key, value) });
      }
      default:
        return value;
    }
  }

  /** At once where nobody is asked. Throws UnknownEncryptionKeyError; rejects with KeyServiceError where a key service does not answer.
   *  What was not sealed for its key is given as it is: a hand has put it there. */
  fromStorage(key: string, stored: string): string | Promise<string> {
    const sealed = readSealedText(stored);
    if (!sealed) return this.#options.own.fromStorage(key, stored);
    const { kind, name, bytes } = sealed;
    const { keys, kms } = this.#applied;
    if (kind === "kms:v2") {
      const running = kms.find((each) => each.configuration.name === name);
      if (running) return openByService(running.provider, key, bytes, stored);
    }
    // Two keys of one name may follow each other.
    for (const one of keys) {
      if (`${one.cipher}:v1` !== kind || one.name !== name) continue;
      const opened = openLocally(one, key, bytes);
      if (opened !== undefined) return opened;
    }
    throw new UnknownEncryptionKeyError(
      `the value of ${key} was encrypted by ${kind.split(":")[0]} with the key ${name}, which the ${setting} does not have (any more)`,
    );
  }

  /** Undefined where no key service may ever be asked. */
  get check(): (() => Promise<void>) | undefined {
    if (!this.#options.follows && this.#applied.kms.length === 0) return undefined;
    return () => checkAll(this.#applied.kms);
  }

  /** Calls `then` when values that could not be read may be by now: keys have come, or a key service is well again. */
  onReadable(then: () => void): () => void {
    this.#readers.add(then);
    return () => void this.#readers.delete(then);
  }

  /** Puts the file as it is now into force, once its new key services are well. */
  apply(): void {
    if (this.#file === undefined || this.#closed) return;
    clearTimeout(this.#again);
    this.#applying ??= this.#apply(this.#file).finally(() => {
      this.#applying = undefined;
    });
  }

  async #apply(file: FollowedFile<EncryptionConfiguration>): Promise<void> {
    while (file.current !== this.#applied.configuration && !this.#closed) {
      const { current } = file;
      const before = this.#applied;
      const next = await start(current, before.kms, { log: this.#options.log, onWell: () => tellAll(this.#readers) });
      const fault = await untilWell(next.kms, () => this.#closed || file.current !== current);
      if (this.#closed || fault !== undefined) {
        close(next.kms, before.kms);
        if (this.#closed) return;
        reloaded("failure");
        this.#options.log.error(`${setting}: what held before holds on: new key services are not well`, {
          error: fault,
        });
        if (file.current === current) {
          this.#again = setTimeout(() => this.apply(), tryAgain_ms);
          return;
        }
        continue;
      }
      this.#applied = next;
      reloaded("success");
      tellAll(this.#readers);
      this.#options.log.info(`${setting}: what it says now holds`);
      // Questions under way are answered first.
      const longest_ms = before.kms.reduce((sum, { configuration }) => sum + 2 * configuration.timeout_ms, 0);
      setTimeout(() => close(before.kms, this.#applied.kms), longest_ms).unref();
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#again);
    this.#tellNoMore();
    this.#file?.stop();
    close(this.#applied.kms, []);
  }
}

function tellAll(readers: ReadonlySet<() => void>): void {
  for (const tell of readers) tell();
}

/** What a key service is begun with. */
type KmsStart = Pick<KmsProviderOptions, "log" | "onWell">;

/** With those that run already and are asked for unchanged. */
async function start(
  configuration: EncryptionConfiguration,
  running: readonly RunningKms[],
  how: KmsStart,
): Promise<Applied> {
  const providers = configuration.rules.flatMap((rule) => rule.providers);
  const keys = providers.flatMap((provider) => (provider.kind === "keys" ? provider.keys : []));
  const wanted = providers.flatMap((provider) => (provider.kind === "kms" ? [provider.kms] : []));
  const kms = await Promise.all(
    wanted.map(
      async (each) => running.find(isFor(each)) ?? { configuration: each, provider: await startKms(each, how) },
    ),
  );
  return { configuration, keys, kms };
}

/** Its protocol is loaded only where there is one. */
async function startKms({ name, endpoint, timeout_ms }: KmsConfiguration, how: KmsStart): Promise<KmsProvider> {
  const [{ KeyService }, { KmsProvider }] = await Promise.all([
    import("./key-service.ts"),
    import("./kms-provider.ts"),
  ]);
  const provider = new KmsProvider({ name, service: new KeyService({ name, endpoint, timeout_ms }), ...how });
  await provider.start();
  return provider;
}

const isFor =
  (wanted: KmsConfiguration) =>
  ({ configuration: { name, endpoint, timeout_ms } }: RunningKms): boolean =>
    name === wanted.name && endpoint.href === wanted.endpoint.href && timeout_ms === wanted.timeout_ms;

/** Rejects with what is wrong with any, as upstream's check `kms-providers` words it. */
async function checkAll(kms: readonly RunningKms[]): Promise<void> {
  const faults: string[] = [];
  for (const [index, { provider }] of kms.entries())
    await provider.check().catch((error: Error) => faults.push(`kms-provider-${index}: ${error.message}`));
  if (faults.length > 0) throw new Error(faults.length === 1 ? faults[0] : `[${faults.join(", ")}]`);
}

/** Undefined once all are well; else what was wrong when the time was over. */
async function untilWell(kms: readonly RunningKms[], isVain: () => boolean): Promise<unknown> {
  const longest_ms = kms.reduce((sum, { configuration }) => sum + 2 * configuration.timeout_ms, 0);
  const deadline_ms = performance.now() + Math.max(wellWithin_ms, longest_ms);
  for (;;) {
    try {
      await checkAll(kms);
      return undefined;
    } catch (error) {
      if (performance.now() > deadline_ms || isVain()) return error;
      await Bun.sleep(lookAgain_ms);
    }
  }
}

/** All but those that are kept. */
function close(kms: readonly RunningKms[], kept: readonly RunningKms[]): void {
  for (const { provider } of kms) if (!kept.some((each) => each.provider === provider)) provider.close();
}

function openByService(provider: KmsProvider, key: string, sealed: Buffer, stored: string): string | Promise<string> {
  const unsealed = (error: unknown): string => {
    if (error instanceof KeyServiceError) throw error;
    return stored;
  };
  try {
    const opened = provider.open(key, sealed);
    return typeof opened === "string" ? opened : opened.catch(unsealed);
  } catch (error) {
    return unsealed(error);
  }
}

/** `/registry/PLURAL/…` for what is built in, `/registry/GROUP/PLURAL/…` for the rest. */
function resourceOf(
  key: string,
  groupOf: ProvidersOptions["groupOf"],
): readonly [resource: string, group: string] | undefined {
  const [, root, first = "", second = ""] = key.split("/", 4);
  if (root !== "registry") return undefined;
  return first.includes(".") ? [second, first] : [first, groupOf(first) ?? ""];
}
