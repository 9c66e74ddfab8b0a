import type { Revision } from "./store.ts";

/** How many revisions one write to the disk reserves: what a restart may skip. */
const BLOCK = 10_000;

interface SequenceState {
  readonly current: Revision;
  readonly reserved: Revision;
}

/** Gives out the one increasing number of a store. Blocks are reserved on disk before any of their numbers is used, so
 *  that a number given to something volatile is never given again after a restart. */
export class RevisionSequence {
  #current: Revision;
  #reserved: Revision;
  readonly #reserve: (upTo: Revision) => void;

  /** `start` is the highest number that may have been used before. */
  constructor(start: Revision, reserve: (upTo: Revision) => void) {
    this.#current = start;
    this.#reserved = start;
    this.#reserve = reserve;
  }

  get current(): Revision {
    return this.#current;
  }

  /** True when one of the next `count` numbers needs a reservation: a write to the disk. */
  mustReserveWithin(count: number): boolean {
    return this.#current + count > this.#reserved;
  }

  next(): Revision {
    if (this.mustReserveWithin(1)) {
      const upTo = this.#current + BLOCK;
      this.#reserve(upTo);
      this.#reserved = upTo;
    }
    this.#current += 1;
    if (!Number.isSafeInteger(this.#current)) throw new Error("the store ran out of revisions");
    return this.#current;
  }

  /** To go back to. */
  get state(): SequenceState {
    return { current: this.#current, reserved: this.#reserved };
  }

  /** After a rollback: what was reserved since `before` is not, and of the numbers since then those up to `used` alone count. */
  rollBack({ reserved }: SequenceState, used: Revision): void {
    this.#current = used;
    this.#reserved = reserved;
  }
}
