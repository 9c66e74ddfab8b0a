import { randomUUID } from "node:crypto";
import { internalError } from "#shared/api/errors.ts";
import { BoundedMap } from "#shared/compact/bounded-map.ts";
import { KeyExistsError, RevisionMismatchError, type Store } from "../../store/store.ts";
import { usualRequestRules } from "../http/request-rules.ts";

/** What API servers over one store have chosen for Services that are not written yet: none chooses what another has. */
export interface SharedReservations {
  /** Reserves all of the items for an object. Gives those that others hold; then nothing was reserved. */
  reserve(owner: string, items: readonly string[]): Promise<readonly string[]>;
  /** The object is visible to all, with what it holds. */
  settle(owner: string): void;
}

const key = "/registry/ranges/services";
/** What stands so long unchanged was for a write that failed. By this process's own clock: boards' clocks disagree. */
const lifetime_ms = 120_000;
/** A request lasts no longer either. */
const longestTry_ms = usualRequestRules.longest_ms;

/** Far more than are written at once. */
const MOST_OWN = 4096;

interface Reservation {
  readonly owner: string;
  readonly id: string;
}

type Reserved = Record<string, Reservation>;

export class StoredReservations implements SharedReservations {
  readonly #store: Store;
  readonly #now_ms: () => number;
  readonly #firstSeen_ms = new Map<string, number>();
  /** Items that this process has reserved, by the object that they are for. Those of writes that failed are pushed out; they lapse. */
  readonly #own = new BoundedMap<readonly string[]>(MOST_OWN);
  #settling: Promise<void> = Promise.resolve();

  constructor(store: Store, now_ms: () => number = () => performance.now()) {
    this.#store = store;
    this.#now_ms = now_ms;
  }

  async reserve(owner: string, items: readonly string[]): Promise<readonly string[]> {
    let taken: string[] = [];
    const id = randomUUID();
    await this.#change((reserved) => {
      this.#forget(reserved);
      taken = items.filter((item) => reserved[item] !== undefined && reserved[item].owner !== owner);
      if (taken.length > 0) return false;
      for (const item of items) reserved[item] = { owner, id };
      return true;
    });
    if (taken.length === 0) this.#own.set(owner, items);
    return taken;
  }

  settle(owner: string): void {
    const items = this.#own.get(owner);
    if (!items) return;
    this.#own.delete(owner);
    const remove = (): Promise<void> =>
      this.#change((reserved) => {
        for (const item of items) if (reserved[item]?.owner === owner) delete reserved[item];
        return true;
      });
    // One that is left over lapses by itself.
    this.#settling = this.#settling.then(remove).catch(() => undefined);
  }

  #forget(reserved: Reserved): void {
    const now_ms = this.#now_ms();
    const present = new Set<string>();
    for (const [item, { id }] of Object.entries(reserved)) {
      const seen_ms = this.#firstSeen_ms.get(id) ?? now_ms;
      if (now_ms - seen_ms >= lifetime_ms) delete reserved[item];
      else {
        this.#firstSeen_ms.set(id, seen_ms);
        present.add(id);
      }
    }
    for (const id of this.#firstSeen_ms.keys()) if (!present.has(id)) this.#firstSeen_ms.delete(id);
  }

  /** Reads, changes and writes, again when another was first. `change` says whether there is anything to write. Rejects with
   *  InternalError where others are first for too long. */
  async #change(change: (reserved: Reserved) => boolean): Promise<void> {
    const end_ms = this.#now_ms() + longestTry_ms;
    for (;;) {
      const present = await this.#store.get(key);
      const reserved = present ? ((JSON.parse(present.value) as { reserved: Reserved }).reserved ?? {}) : {};
      if (!change(reserved)) return;
      const text = JSON.stringify({ kind: "RangeAllocation", reserved });
      try {
        if (present) await this.#store.update(key, text, present.revision);
        else await this.#store.create(key, text);
        return;
      } catch (error) {
        if (!(error instanceof RevisionMismatchError || error instanceof KeyExistsError)) throw error;
        if (this.#now_ms() >= end_ms) throw internalError("other API servers reserve all the time: try again", error);
      }
    }
  }
}
