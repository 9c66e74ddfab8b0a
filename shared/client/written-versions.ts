import type { KubeObject } from "#shared/api/object.ts";
import { keyOf } from "#shared/api/object.ts";
import type { Clock } from "./clock.ts";
import { patience_ms } from "./expectations.ts";
import type { Lister } from "./store-index.ts";

interface Writes {
  readonly versions: Map<string, bigint | "deleted">;
  /** When the cache was first found to be behind. */
  behindSince_ms?: number;
}

/**
 * What a controller has written for each of its keys, so that it can tell whether its cache shows that already. A
 * reconcile on an older cache would write the same things twice. Resource versions of one resource are compared as
 * numbers, as clients may since v1.35 (KEP-5504).
 */
export class WrittenVersions {
  readonly #byOwner = new Map<string, Writes>();
  /** The newest that the cache has told of. Changes come in their order, so all before it were told too. */
  #told = 0n;

  wrote(owner: string, object: KubeObject): void {
    this.#of(owner).set(keyOf(object), BigInt(object.metadata.resourceVersion ?? "0"));
  }

  deleted(owner: string, key: string): void {
    this.#of(owner).set(key, "deleted");
  }

  /** Every change that the cache tells of, deletions too: one that somebody has taken away is not waited for, be it that
   *  the answer to the write comes only after that. */
  told({ metadata }: KubeObject): void {
    const version = BigInt(metadata.resourceVersion ?? "0");
    if (version > this.#told) this.#told = version;
  }

  forget(owner: string): void {
    this.#byOwner.delete(owner);
  }

  /**
   * How long the owner is to be left alone: until the cache shows everything that was written for it. The event that shows
   * the last of it brings the owner's key back before, but for an object that went while the server could not be watched:
   * of that nothing may be told.
   * @returns undefined when the cache shows it all, or never will. What it shows is not asked for again.
   */
  wait_ms(owner: string, lister: Lister<KubeObject>, clock: Clock): number | undefined {
    const written = this.#byOwner.get(owner);
    if (!written) return undefined;
    const now_ms = clock.now_ms();
    written.behindSince_ms ??= now_ms;
    const left_ms = written.behindSince_ms + patience_ms - now_ms;
    if (left_ms > 0 && !this.#shows(written, lister)) return left_ms;
    this.#byOwner.delete(owner);
    return undefined;
  }

  #shows({ versions }: Writes, lister: Lister<KubeObject>): boolean {
    for (const [key, version] of versions) {
      const present = lister.get(key);
      const upToDate =
        version === "deleted"
          ? present === undefined || present.metadata.deletionTimestamp !== undefined
          : version <= this.#told ||
            (present !== undefined && BigInt(present.metadata.resourceVersion ?? "0") >= version);
      if (upToDate) versions.delete(key);
    }
    return versions.size === 0;
  }

  #of(owner: string): Writes["versions"] {
    const known = this.#byOwner.get(owner) ?? { versions: new Map<string, bigint | "deleted">() };
    this.#byOwner.set(owner, known);
    return known.versions;
  }
}
