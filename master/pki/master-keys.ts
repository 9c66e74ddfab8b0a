import { join } from "node:path";
import { hasReason, isConflict, isNotFound } from "#shared/api/errors.ts";
import { secrets } from "#shared/api/resources.ts";
import type { Secret } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { followRenewalMark } from "#shared/pki/renewal-mark.ts";
import type { Part } from "#shared/process/parts.ts";
import { PkiError, readAuthorityFiles, replaceAuthorityFiles } from "./cluster-authorities.ts";
import { appliedAnnotation, clusterKeys, clusterKeysKey, keysDigest, keysOf } from "./cluster-keys.ts";
import { followFiles } from "./follow-files.ts";
import { filesOf } from "./given-credentials.ts";
import { keysSealIn } from "./keys-seal.ts";
import { renewalMarkFile } from "./master-certificates.ts";
import { ensureMasterPki, type MasterPki, type MasterPkiOptions } from "./master-pki.ts";

const renewalLook_ms = 3_600_000;

/** Told of keys and certificates that take the place of others. */
export type KeyUser = (pki: MasterPki) => void | Promise<void>;

/**
 * What a master proves itself with, as it is at the moment. Certificates are renewed in time, when addresses change, and when
 * a person asks; keys are those that the masters share (cluster-keys.ts). Whoever uses them is told, and goes on with the new ones.
 */
export class MasterKeys {
  readonly #users: KeyUser[] = [];
  #current: MasterPki;
  #working: Promise<void> = Promise.resolve();

  private constructor(
    private readonly options: () => MasterPkiOptions,
    first: MasterPki,
    private readonly log: Log,
  ) {
    this.#current = first;
  }

  static async open(options: () => MasterPkiOptions, log: Log): Promise<MasterKeys> {
    return new MasterKeys(options, await ensureMasterPki(options()), log);
  }

  get current(): MasterPki {
    return this.#current;
  }

  /** Calls it at every change from now on. */
  onChange(user: KeyUser): void {
    this.#users.push(user);
  }

  /** Takes over the keys that the masters share, if there are any that differ from this master's. */
  async takeShared(client: Client, address: string): Promise<void> {
    try {
      await this.#apply(await client.get(secrets, clusterKeysKey), client, address);
    } catch (error) {
      if (isNotFound(error)) return;
      // A key service that is away, for one: the Secret comes as an event once it can be read.
      if (hasReason(error, "InternalError")) {
        this.log.warn("the cluster's keys cannot be read yet", { error });
        return;
      }
      // A set that cannot be used is no reason to serve nobody.
      if (!(error instanceof PkiError)) throw error;
      this.log.error("the cluster's keys were not taken over", { error });
    }
  }

  /** Looks at once whether certificates and kubeconfigs are good for the addresses of this master. */
  renew(): Promise<void> {
    return this.#serially(() => this.#refresh());
  }

  /** Follows the shared keys, and looks after the certificates. */
  keep(client: Client, address: () => string): Part {
    const informers = new InformerFactory(client, { log: this.log });
    informers.informer(secrets, clusterKeys).addHandler(({ type, object }) => {
      if (type === "delete") return;
      this.#apply(object, client, address()).catch((error: unknown) => {
        // Comes again with the next event; a set that cannot be used is a person's to mend.
        this.log.error("the cluster's keys were not taken over", { error });
      });
    });
    informers.start();
    const look = async (): Promise<void> => {
      await this.renew().catch((error: unknown) => this.log.error("certificates cannot be renewed", { error }));
    };
    const timer = setInterval(look, renewalLook_ms);
    const following = followRenewalMark(join(this.options().dataDir, "pki", renewalMarkFile), look, this.log);
    const given = followFiles(filesOf(this.options().given ?? { clientCaFile: "" }), look, this.log);
    return {
      async stop() {
        clearInterval(timer);
        given();
        (await following)();
        await informers.stop();
      },
    };
  }

  #serially(work: () => Promise<void>): Promise<void> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => undefined);
    return done;
  }

  #apply(secret: Secret, client: Client, address: string): Promise<void> {
    return this.#serially(async () => {
      const { dataDir } = this.options();
      const files = keysOf(secret, keysSealIn(dataDir));
      const digest = keysDigest(files);
      const folder = join(dataDir, "pki");
      if (keysDigest(await readAuthorityFiles(folder)) !== digest) {
        await replaceAuthorityFiles(folder, files);
        await this.#refresh();
        this.log.info("the cluster's keys were changed", { keys: digest.slice(0, 8) });
      }
      const name = appliedAnnotation(address);
      if (secret.metadata.annotations?.[name] === digest) return;
      const { resourceVersion } = secret.metadata;
      const body = { metadata: { resourceVersion, annotations: { [name]: digest } } };
      try {
        await client.patch(secrets, clusterKeysKey, { type: "merge", body });
      } catch (error) {
        // The newer state of the Secret is on its way here as an event.
        if (!isConflict(error)) throw error;
      }
    });
  }

  async #refresh(): Promise<void> {
    const before = this.#current;
    const after = await ensureMasterPki(this.options());
    if (Bun.deepEquals(essence(before), essence(after))) return;
    this.#current = after;
    for (const user of this.#users) {
      try {
        await user(after);
      } catch (error) {
        this.log.error("a part of this master goes on with former keys until it starts again", { error });
      }
    }
    this.log.info("keys and certificates in use were renewed");
  }
}

const essence = ({ authorities, certificates, door }: MasterPki): unknown => {
  const { serviceAccountKeys, ...texts } = authorities;
  const { serving, kubeletClient, frontProxyClient } = certificates;
  return { texts, keys: serviceAccountKeys.map(({ keyId }) => keyId), serving, kubeletClient, frontProxyClient, door };
};
