import type { KubeObject } from "#shared/api/object.ts";
import { keyOf } from "#shared/api/object.ts";
import type { Lister } from "./store-index.ts";

/**
 * What a controller has written for each of its keys, so that it can tell whether its cache shows that already. A
 * reconcile on an older cache would write the same things twice. Resource versions of one resource are compared as
 * numbers, as clients may since v1.35 (KEP-5504).
 */
export class WrittenVersions {
  readonly #byOwner = new Map<string, Map<string, bigint | "deleted">>();
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

  /** The cache shows everything that was written for the owner. What it shows is not asked for again. */
  seen(owner: string, lister: Lister<KubeObject>): boolean {
    const written = this.#byOwner.get(owner);
    if (!written) return true;
    for (const [key, version] of written) {
      const present = lister.get(key);
      const upToDate =
        version === "deleted"
          ? present === undefined || present.metadata.deletionTimestamp !== undefined
          : version <= this.#told ||
            (present !== undefined && BigInt(present.metadata.resourceVersion ?? "0") >= version);
      if (upToDate) written.delete(key);
    }
    if (written.size === 0) this.#byOwner.delete(owner);
    return written.size === 0;
  }

  #of(owner: string): Map<string, bigint | "deleted"> {
    const known = this.#byOwner.get(owner) ?? new Map<string, bigint | "deleted">();
    this.#byOwner.set(owner, known);
    return known;
  }
}
