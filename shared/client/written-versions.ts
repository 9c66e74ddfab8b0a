import { type KubeObject, keyOf } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { type Clock, systemClock } from "./clock.ts";
import { patience_ms } from "./expectations.ts";
import type { Lister } from "./store-index.ts";

/** Of an object that was written its version. */
type Written = bigint | "deleted";

const versionOf = ({ metadata }: KubeObject): bigint => BigInt(metadata.resourceVersion ?? "0");

/** How much of what was written the cache of one resource shows. */
class CacheProgress {
  /** The newest that the cache has told of. Changes come in their order, so all before it were told too. */
  #told = 0n;

  constructor(private readonly lister: Lister<KubeObject>) {}

  /** Every change that the cache tells of, deletions too: one that somebody has taken away is not waited for, be it that
   *  the answer to the write comes only after that. */
  told(object: KubeObject): void {
    const version = versionOf(object);
    if (version > this.#told) this.#told = version;
  }

  shows(key: string, written: Written): boolean {
    const present = this.lister.get(key);
    if (written === "deleted") return present === undefined || present.metadata.deletionTimestamp !== undefined;
    return written <= this.#told || (present !== undefined && versionOf(present) >= written);
  }
}

interface Writes {
  readonly byCache: Map<CacheProgress, Map<string, Written>>;
  /** When a cache was first found to be behind. */
  behindSince_ms?: number;
}

/**
 * What a controller has written for each of its keys, so that it can tell whether its caches show that already. A
 * reconcile on an older cache would write the same things twice. Resource versions of one resource are compared as
 * numbers, as clients may since v1.35 (KEP-5504).
 */
export class WrittenVersions {
  readonly #caches = new Map<string, CacheProgress>();
  readonly #byOwner = new Map<string, Writes>();
  readonly #clock: Clock;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Writes of that resource are looked for in this cache from now on. Gives what is to be told of every change there. */
  follow<T extends KubeObject>(ref: ResourceRef<T>, lister: Lister<T>): { told(object: T): void } {
    const cache = new CacheProgress(lister);
    this.#caches.set(nameOf(ref), cache);
    return cache;
  }

  /** @throws when the resource's cache is not followed: the write would never be seen. */
  wrote<T extends KubeObject>(owner: string, ref: ResourceRef<T>, object: T): void {
    this.#note(owner, ref, keyOf(object), versionOf(object));
  }

  /** @throws as `wrote` does. */
  deleted(owner: string, ref: ResourceRef<unknown>, key: string): void {
    this.#note(owner, ref, key, "deleted");
  }

  /** The owner is gone. */
  forget(owner: string): void {
    this.#byOwner.delete(owner);
  }

  /**
   * How long the owner is to be left alone: until the caches show everything that was written for it. The event that shows
   * the last of it brings the owner's key back before, but for an object that went while the server could not be watched:
   * of that nothing may be told.
   * @returns undefined when the caches show it all, or never will. What they show is not asked for again.
   */
  wait_ms(owner: string): number | undefined {
    const writes = this.#byOwner.get(owner);
    if (!writes) return undefined;
    const now_ms = this.#clock.now_ms();
    writes.behindSince_ms ??= now_ms;
    const left_ms = writes.behindSince_ms + patience_ms - now_ms;
    if (left_ms > 0 && isAnyUnseen(writes)) return left_ms;
    this.#byOwner.delete(owner);
    return undefined;
  }

  #note(owner: string, ref: ResourceRef<unknown>, key: string, written: Written): void {
    const cache = this.#caches.get(nameOf(ref));
    if (!cache) throw new Error(`nothing tells whether a cache shows what is written to ${ref.plural}`);
    const { byCache } = this.#byOwner.getOrInsertComputed(owner, () => ({ byCache: new Map() }));
    byCache.getOrInsertComputed(cache, () => new Map<string, Written>()).set(key, written);
  }
}

const nameOf = ({ group, plural }: ResourceRef<unknown>): string => `${plural}.${group}`;

/** Forgets what the caches show by now. */
function isAnyUnseen({ byCache }: Writes): boolean {
  for (const [cache, writes] of byCache) {
    for (const [key, written] of writes) if (cache.shows(key, written)) writes.delete(key);
    if (writes.size === 0) byCache.delete(cache);
  }
  return byCache.size > 0;
}
