import { join } from "node:path";
import { isConflict, isNotFound } from "#shared/api/errors.ts";
import { secrets } from "#shared/api/resources.ts";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type KeyFiles, PkiError, readAuthorityFiles } from "../pki/cluster-authorities.ts";
import { clusterKeysKey, keysDigest, keysOf, keysSecret } from "../pki/cluster-keys.ts";
import { type KeysSeal, keysSealIn } from "../pki/keys-seal.ts";
import { mastersBehind } from "../pki/rotation-progress.ts";
import { UserError } from "./admin-client.ts";
import { servingMasters } from "./serving-masters.ts";

const look_ms = 1_000;
/** Each master notes once what it goes by: more than there are masters. */
const mostAttempts = 30;

/** The keys that the masters share, from the side of whoever changes them. */
export class SharedKeys {
  #secret: Secret | undefined;
  readonly #seal: KeysSeal;

  constructor(
    private readonly client: Client,
    private readonly dataDir: string,
  ) {
    this.#seal = keysSealIn(dataDir);
  }

  /** As they are; those of this master, where none have been shared yet. */
  async read(): Promise<KeyFiles> {
    try {
      this.#secret = await this.client.get(secrets, clusterKeysKey);
      return keysOf(this.#secret, this.#seal);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.#secret = undefined;
    }
    const files = await readAuthorityFiles(join(this.dataDir, "pki"));
    if (files["ca.key"] === undefined)
      throw new PkiError(`${this.dataDir} holds no keys of a cluster: run this on a master as root`);
    return files;
  }

  /** Puts a set in the place of the one that was read. Throws UserError when somebody else has changed it meanwhile. */
  async write(files: KeyFiles): Promise<void> {
    const before = this.#secret && keysDigest(keysOf(this.#secret, this.#seal));
    for (let attempt = 1; ; attempt++) {
      try {
        this.#secret = this.#secret
          ? await this.client.update(secrets, keysSecret(files, this.#seal, this.#secret))
          : await this.client.create(secrets, keysSecret(files, this.#seal), { namespace: clusterKeysKey.namespace });
        return;
      } catch (error) {
        // Masters note in the same object what they go by.
        if (!isConflict(error) || attempt === mostAttempts) throw error;
        if (keysDigest(await this.read()) !== before)
          throw new UserError("somebody else changes the cluster's keys at the same time: look what they are doing");
      }
    }
  }

  /** Addresses of masters that serve and do not yet go by the present set. */
  async mastersBehind(): Promise<string[]> {
    await this.read();
    const addresses = (await servingMasters(this.client)).map(({ address }) => address);
    return this.#secret ? mastersBehind(this.#secret, this.#seal, addresses) : addresses;
  }

  /** The same set, sealed by the key that seals now; nothing where none is shared. */
  async sealAnew(): Promise<void> {
    const files = await this.read();
    if (this.#secret) await this.write(files);
  }
}

/** Waits until nobody is waited for, and says whom it waits for. Throws UserError after the time. */
export async function untilNobody(
  what: string,
  timeout_s: number,
  look: () => Promise<readonly string[]>,
): Promise<void> {
  const end_ms = performance.now() + timeout_s * 1000;
  let said = "";
  for (;;) {
    const behind = await look();
    if (behind.length === 0) return;
    const names = behind.join(", ");
    if (names !== said) console.log(`waiting until ${what}: ${names}`);
    said = names;
    if (performance.now() > end_ms)
      throw new UserError(`not so within ${timeout_s} s. Nothing is lost: run the same command again, it goes on here`);
    await Bun.sleep(look_ms);
  }
}
