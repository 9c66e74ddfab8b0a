/** Room for the bodies of requests, which all who send some share. */
import { cacheBounds } from "#shared/process/cache-bounds.ts";

/** Fewer bytes are not worth counting: most requests have no more. */
export const COUNTED_FROM_BYTES = 16 * 1024;

export interface RoomUser {
  /** When some of it came last, by `performance.now()`. */
  readonly movedAt_ms: number;
  /** Gives up what has come, and tells its client to come again. */
  makeWay(): void;
}

/**
 * What bodies hold until their requests are answered. Each is bounded by itself, but thousands may be on their way at once, some of
 * them for as long as a request may last. Where they are too much for all, those make way of which nothing has come for longest; one
 * that has come whole is being answered, and stays.
 */
export class BodyRoom {
  readonly #most_bytes: () => number;
  readonly #counted = new Map<RoomUser, number>();
  /** Of these some is still to come. */
  readonly #arriving = new Set<RoomUser>();
  #held_bytes = 0;

  constructor(most_bytes: () => number) {
    this.#most_bytes = most_bytes;
  }

  /** Of all that are counted. */
  get held_bytes(): number {
    return this.#held_bytes;
  }

  /** @param bytes of the body that have come so far. False where it has to make way itself. */
  count(user: RoomUser, bytes: number): boolean {
    if (bytes < COUNTED_FROM_BYTES) return true;
    if (!this.#counted.has(user)) this.#arriving.add(user);
    this.#held_bytes += bytes - (this.#counted.get(user) ?? 0);
    this.#counted.set(user, bytes);
    const most_bytes = this.#most_bytes();
    while (this.#held_bytes > most_bytes) {
      const next = this.#longestRested();
      if (!next) break;
      this.leave(next);
      next.makeWay();
    }
    return this.#counted.has(user);
  }

  /** All of it is there. */
  cameWhole(user: RoomUser): void {
    this.#arriving.delete(user);
  }

  /** Nothing of it is held any more. */
  leave(user: RoomUser): void {
    const bytes = this.#counted.get(user);
    if (bytes === undefined) return;
    this.#held_bytes -= bytes;
    this.#counted.delete(user);
    this.#arriving.delete(user);
  }

  #longestRested(): RoomUser | undefined {
    let found: RoomUser | undefined;
    for (const user of this.#arriving) if (!found || user.movedAt_ms < found.movedAt_ms) found = user;
    return found;
  }
}

/** Of all transports of this process. */
export const bodyRoom = new BodyRoom(() => cacheBounds().bodies_bytes);
