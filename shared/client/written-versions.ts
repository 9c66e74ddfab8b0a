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

  wrote(owner: string, object: KubeObject): void {
    this.#of(owner).set(keyOf(object), BigInt(object.metadata.resourceVersion ?? "0"));
  }

  deleted(owner: string, key: string): void {
    this.#of(owner).set(key, "deleted");
  }

  /** The cache saw somebody take the object away: what was written to it before is not to come any more. */
  gone(owner: string, key: string): void {
    const written = this.#byOwner.get(owner);
    written?.delete(key);
    if (written?.size === 0) this.#byOwner.delete(owner);
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
          : present !== undefined && BigInt(present.metadata.resourceVersion ?? "0") >= version;
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
