import { type Clock, systemClock } from "./clock.ts";

interface Expectation {
  creations: number;
  readonly deletions: Set<string>;
  readonly since_ms: number;
}

/** After this what a controller has written is not waited for any more: the event was missed and the lister tells the truth
 *  again. */
export const patience_ms = 5 * 60_000;

/**
 * What a controller has asked of the API and not yet seen in its cache. Without it, a second reconcile that reads the
 * cache before the first one's writes arrive there would create the same pods again. A key whose expectations are not
 * satisfied is reconciled without creating or deleting. Deletions are expected by UID, since one may be seen twice
 * (marked, then gone).
 */
export class Expectations {
  readonly #byKey = new Map<string, Expectation>();

  readonly #clock: Clock;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Call before the writes, then `creationObserved` for each that failed. */
  expectCreations(key: string, count: number): void {
    const present = this.#byKey.get(key);
    this.#byKey.set(key, {
      creations: (present?.creations ?? 0) + count,
      deletions: present?.deletions ?? new Set(),
      since_ms: this.#clock.now_ms(),
    });
  }

  expectDeletions(key: string, uids: Iterable<string>): void {
    const present = this.#byKey.get(key);
    this.#byKey.set(key, {
      creations: present?.creations ?? 0,
      deletions: new Set([...(present?.deletions ?? []), ...uids]),
      since_ms: this.#clock.now_ms(),
    });
  }

  creationObserved(key: string): void {
    const present = this.#byKey.get(key);
    if (present && present.creations > 0) present.creations--;
  }

  deletionObserved(key: string, uid: string): void {
    this.#byKey.get(key)?.deletions.delete(uid);
  }

  /** Everything was seen, or nothing was expected, or it took longer than five minutes. */
  satisfied(key: string): boolean {
    const present = this.#byKey.get(key);
    if (!present) return true;
    if (present.creations === 0 && present.deletions.size === 0) return true;
    return this.#clock.now_ms() - present.since_ms > patience_ms;
  }

  /** The owner is gone. */
  forget(key: string): void {
    this.#byKey.delete(key);
  }
}
