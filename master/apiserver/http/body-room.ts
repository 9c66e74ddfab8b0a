/** Room for the bodies of requests, read or not, which all who send some share. */
import { cacheBounds } from "#shared/process/cache-bounds.ts";

/** Fewer bytes are not worth counting: a request takes as much whatever its body. */
const COUNTED_FROM_BYTES = 4 * 1024;

export interface RoomUser {
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
  /** Of these some is still to come. Those come first of which nothing has come for longest. */
  readonly #arriving = new Set<RoomUser>();
  #held_bytes = 0;

  constructor(most_bytes: () => number) {
    this.#most_bytes = most_bytes;
  }

  /** Of all that are counted. */
  get held_bytes(): number {
    return this.#held_bytes;
  }

  /** @param bytes that are held of what has come so far. False where it has to make way itself. */
  count(user: RoomUser, bytes: number): boolean {
    if (bytes < COUNTED_FROM_BYTES) {
      this.leave(user);
      return true;
    }
    this.#held_bytes += bytes - (this.#counted.get(user) ?? 0);
    this.#counted.set(user, bytes);
    this.#arriving.delete(user);
    this.#arriving.add(user);
    const most_bytes = this.#most_bytes();
    while (this.#held_bytes > most_bytes) {
      const [next] = this.#arriving;
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
}

/** Of all transports of this process. */
export const bodyRoom = new BodyRoom(() => cacheBounds().bodies_bytes);
