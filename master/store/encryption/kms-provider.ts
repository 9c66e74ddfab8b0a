/**
 * A provider of EncryptionConfiguration whose keys are a key service's (KMS v2, KEP-3299). Values are encrypted here, by keys derived
 * of a seed; the seed rests with each value, encrypted by the service. So the service is asked once for each seed and not for each
 * value: what its Status says every minute keeps the present seed good, and another key ID there brings a new seed.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { messageOf } from "#shared/api/joined-errors.ts";
import type { Log } from "#shared/client/log.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { BoundedMap } from "#shared/compact/bounded-map.ts";
import { GrpcError } from "#shared/grpc/grpc-error.ts";
import { openGcm } from "../aes-gcm.ts";
import { openBySeed, sealBySeed, seed_bytes } from "./data-keys.ts";
import { kmsMetrics } from "./encryption-metrics.ts";
import { assertEnvelope, decodeEnvelope, hashOf, keyIdFault } from "./envelope.ts";
import type { KeyService } from "./key-service.ts";
import { KeyServiceError } from "./key-service-error.ts";
import { DekSourceType, EncryptedObject, type StatusResponse } from "./kms-messages.ts";

/** Upstream's times. */
export const kmsTimes = {
  /** How often a service is asked that is well, and one that is not. */
  healthy_ms: 60_000,
  unhealthy_ms: 10_000,
  /** What Status said is good for so long, for whoever looks at the health. */
  wellFor_ms: 20_000,
  illFor_ms: 3_000,
  /** After the last good answer a seed encrypts for so long: a key that was revoked ends. */
  writeFor_ms: 3 * 60_000,
} as const;

/** One comes with each start of a master and each change of the key. */
const mostSeeds = 1_000;
const versions: readonly string[] = ["v2", "v2beta1"];

type Envelope = Omit<EncryptedObject, "encryptedData">;

interface Present {
  readonly seed: Uint8Array;
  readonly envelope: Envelope;
  /** Monotonic. */
  readonly until_ms: number;
  readonly until: Date;
}

interface Checked {
  readonly at_ms: number;
  readonly error: Error | undefined;
}

export interface KmsProviderOptions {
  readonly name: string;
  readonly service: KeyService;
  readonly log: Log;
  /** It is well again: what could not be read can. */
  readonly onWell?: (() => void) | undefined;
  readonly times?: { readonly [K in keyof typeof kmsTimes]: number };
}

export class KmsProvider {
  readonly name: string;
  readonly #service: KeyService;
  readonly #times: { readonly [K in keyof typeof kmsTimes]: number };
  readonly #trouble: StandingTrouble;
  readonly #onWell: (() => void) | undefined;
  readonly #seeds = new BoundedMap<Uint8Array>(mostSeeds);
  readonly #asking = new Map<string, Promise<Uint8Array>>();
  readonly #refused = new BoundedMap<{ readonly at_ms: number; readonly error: Error }>(mostSeeds);
  #present: Present | undefined;
  #version: string | undefined;
  #checked: Checked | undefined;
  #checking: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor({ name, service, log, onWell, times = kmsTimes }: KmsProviderOptions) {
    this.name = name;
    this.#onWell = onWell;
    this.#service = service;
    this.#times = times;
    this.#trouble = new StandingTrouble(log, {
      wrong: "the key service is not well",
      over: "the key service is well",
    });
  }

  /** Asks the service once, and from then on again and again. Resolves after the first answer, whatever it is. */
  async start(): Promise<void> {
    let next_ms = this.#times.healthy_ms;
    try {
      await this.check();
      this.#trouble.end({ provider: this.name });
    } catch (error) {
      this.#trouble.tell(error, { provider: this.name });
      next_ms = this.#times.unhealthy_ms;
    }
    if (!this.#closed) this.#timer = setTimeout(() => void this.start(), next_ms);
  }

  /** Rejects with what is wrong, in upstream's words; what was found a moment ago is told again. */
  async check(): Promise<void> {
    const { wellFor_ms, illFor_ms } = this.#times;
    const last = this.#checked;
    if (last && performance.now() - last.at_ms < (last.error ? illFor_ms : wellFor_ms)) {
      if (last.error) throw last.error;
      return;
    }
    this.#checking ??= this.#look().finally(() => {
      this.#checking = undefined;
    });
    await this.#checking;
  }

  async #look(): Promise<void> {
    const error = await this.#ask().then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
    );
    const wasIll = this.#checked?.error !== undefined;
    this.#checked = { at_ms: performance.now(), error };
    if (error) throw error;
    if (!wasIll) return;
    this.#refused.clear();
    this.#onWell?.();
  }

  async #ask(): Promise<void> {
    let status: StatusResponse;
    try {
      status = await this.#service.status();
    } catch (error) {
      throw new Error(
        `failed to perform status section of the healthz check for KMS Provider ${this.name}, error: ${textOf(error)}`,
        { cause: error },
      );
    }
    const faults = [...this.#faultsOf(status), await this.#follow(status.keyId)].filter((each) => each !== undefined);
    if (faults.length === 0) return;
    const text = faults.length === 1 ? faults[0] : `[${faults.join(", ")}]`;
    throw new Error(`kmsv2 Provider ${this.name} is not healthy, error: ${text}`);
  }

  *#faultsOf({ healthz, version }: StatusResponse): Generator<string> {
    if (healthz !== "ok") yield `got unexpected healthz status: ${healthz}`;
    if (!versions.includes(version)) {
      yield `expected KMSv2 API version v2, got ${version}`;
      return;
    }
    this.#version ??= version;
    if (this.#version !== version)
      yield `KMSv2 API version should not change after the initial status response version ${this.#version}, got ${version}`;
  }

  /** The present seed is good for longer, or a new one takes its place. Gives what is wrong; then the former goes on for its time. */
  async #follow(keyId: string): Promise<string | undefined> {
    const fault = keyIdFault(keyId);
    if (fault) {
      kmsMetrics.invalidKeyId(this.name, fault.code);
      return `got invalid KMSv2 KeyID hash ${JSON.stringify(hashOf(keyId))}: ${fault.text}`;
    }
    kmsMetrics.toldKeyId(this.name, keyId);
    const { writeFor_ms } = this.#times;
    // Before the service is asked: the time is the longest that may pass.
    const good = { until_ms: performance.now() + writeFor_ms, until: new Date(Date.now() + writeFor_ms) };
    const before = this.#present;
    if (before?.envelope.keyId === keyId) {
      this.#present = { ...before, ...good };
      return undefined;
    }
    const uid = randomUUID();
    let made: Omit<Present, keyof typeof good> | undefined;
    let error: unknown;
    try {
      made = await this.#newSeed(uid);
      if (made.envelope.keyId === keyId) {
        this.#present = { ...made, ...good };
        this.#keep(seedKey(made.envelope), made.seed);
        return undefined;
      }
    } catch (caught) {
      error = caught;
    }
    const hashes = [keyId, made?.envelope.keyId ?? "", before?.envelope.keyId ?? ""].map((id) =>
      JSON.stringify(hashOf(id)),
    );
    const states = `errState=${before ? "<nil>" : noSeed}, errGen=${error === undefined ? "<nil>" : textOf(error)}`;
    return `failed to rotate DEK uid="${uid}", useSeed=true, ${states}, statusKeyIDHash=${hashes[0]}, encryptKeyIDHash=${hashes[1]}, stateKeyIDHash=${hashes[2]}, expirationTimestamp=${before ? rfc3339(before.until) : "0001-01-01T00:00:00Z"}`;
  }

  async #newSeed(uid: string): Promise<Pick<Present, "seed" | "envelope">> {
    const seed = randomBytes(seed_bytes);
    const { ciphertext, keyId, annotations } = await this.#service.encrypt(seed, uid).catch((error: unknown) => {
      throw new Error(`failed to encrypt DEK, error: ${textOf(error)}`, { cause: error });
    });
    const envelope = {
      keyId,
      encryptedDekSource: ciphertext,
      annotations,
      encryptedDekSourceType: DekSourceType.seed,
    };
    assertEnvelope({ ...envelope, encryptedData: Buffer.of(0) });
    return { seed, envelope };
  }

  /** Throws KeyServiceError where no seed is good. */
  seal(key: string, value: string): Buffer {
    const present = this.#present;
    if (!present) throw new KeyServiceError(noSeed);
    if (performance.now() > present.until_ms)
      throw new KeyServiceError(
        `encryptedDEKSource with keyID hash ${JSON.stringify(hashOf(present.envelope.keyId))} expired at ${rfc3339(present.until)} (current time is ${rfc3339(new Date())})`,
      );
    kmsMetrics.used("to_storage", this.name, present.envelope.keyId);
    return EncryptedObject.encode({ ...present.envelope, encryptedData: sealBySeed(present.seed, key, value) });
  }

  /** At once where the seed is known. Throws and rejects with KeyServiceError where the service does not give it; with another Error for
   *  what was not sealed so for this key. */
  open(key: string, sealed: Buffer): string | Promise<string> {
    const envelope = decodeEnvelope(sealed);
    const known = this.#seeds.get(seedKey(envelope));
    if (known) return this.#opened(known, key, envelope);
    return this.#seedOf(envelope).then((seed) => this.#opened(seed, key, envelope));
  }

  #opened(seed: Uint8Array, key: string, envelope: EncryptedObject): string {
    kmsMetrics.used("from_storage", this.name, envelope.keyId);
    const data = Buffer.from(envelope.encryptedData);
    return envelope.encryptedDekSourceType === DekSourceType.seed
      ? openBySeed(seed, key, data)
      : openGcm(seed, key, data);
  }

  /** All who need one seed share one question; a refusal stands for some seconds, so that nothing else waits behind values that
   *  cannot be read. */
  #seedOf(envelope: EncryptedObject): Promise<Uint8Array> {
    const id = seedKey(envelope);
    const refused = this.#refused.get(id);
    if (refused && performance.now() - refused.at_ms < this.#times.illFor_ms) return Promise.reject(refused.error);
    const asked = this.#asking.get(id) ?? this.#askForSeed(id, envelope).finally(() => this.#asking.delete(id));
    this.#asking.set(id, asked);
    return asked;
  }

  async #askForSeed(id: string, envelope: EncryptedObject): Promise<Uint8Array> {
    kmsMetrics.missed();
    try {
      const seed = await this.#service.decrypt(envelope);
      if (envelope.encryptedDekSourceType === DekSourceType.seed && seed.length < seed_bytes)
        throw new Error(`invalid seed length ${seed.length} used for key generation`);
      this.#keep(id, seed);
      return seed;
    } catch (error) {
      const failure = new KeyServiceError(`failed to decrypt DEK, error: ${textOf(error)}`, { cause: error });
      this.#refused.set(id, { at_ms: performance.now(), error: failure });
      throw failure;
    }
  }

  #keep(id: string, seed: Uint8Array): void {
    this.#seeds.set(id, seed);
    this.#refused.delete(id);
    kmsMetrics.cached(this.name, this.#seeds.size);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#service.close();
  }
}

/** What upstream says where its service was never well. */
const noSeed = "got unexpected nil transformer";

function seedKey({ encryptedDekSourceType: type, encryptedDekSource, keyId, annotations }: Envelope): string {
  const notes = Object.entries(annotations)
    .map(([name, value]) => [name, Buffer.from(value).toString("base64")])
    .sort();
  return JSON.stringify([type, Buffer.from(encryptedDekSource).toString("base64"), keyId, ...notes]);
}

function textOf(error: unknown): string {
  if (error instanceof GrpcError) return error.description;
  return messageOf(error);
}

const rfc3339 = (time: Date): string => time.toISOString().replace(/\.\d+Z$/, "Z");
