import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Lister } from "#shared/client/informer.ts";
import { type BackOffRecord, noFailures } from "./back-off.ts";
import { isTracked } from "./pod-facts.ts";

/** What the Job controller remembers between reconciles. Each run begins with none, which only makes it quicker to try
 *  again. */
export class JobMemory {
  readonly #backOff = new Map<string, BackOffRecord>();
  readonly #released = new Map<string, Map<string, string>>();

  backOffOf(key: string): BackOffRecord {
    return this.#backOff.get(key) ?? noFailures;
  }

  keepBackOff(key: string, record: BackOffRecord): void {
    if (record.failures === 0) this.#backOff.delete(key);
    else this.#backOff.set(key, record);
  }

  /** The pod's finalizer was taken off; the cache may take a while to show it. */
  released(key: string, { metadata }: Pod): void {
    const known = this.#released.get(key) ?? new Map<string, string>();
    known.set(metadata.uid ?? "", `${metadata.namespace}/${metadata.name}`);
    this.#released.set(key, known);
  }

  /** UIDs of released pods that the cache still shows as tracked. */
  notSeenReleased(key: string, lister: Lister<Pod>): ReadonlySet<string> {
    const known = this.#released.get(key);
    if (!known) return new Set();
    for (const [uid, podKey] of known) {
      const pod = lister.get(podKey);
      if (!pod || pod.metadata.uid !== uid || !isTracked(pod)) known.delete(uid);
    }
    if (known.size === 0) this.#released.delete(key);
    return new Set(known.keys());
  }

  forget(key: string): void {
    this.#backOff.delete(key);
    this.#released.delete(key);
  }
}
