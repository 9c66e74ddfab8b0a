/**
 * Collects what much work leaves behind. The engine collects when its heap has grown by a share of what lived before; a large body
 * that is decoded lives for a moment and counts as that, so that the next ones may leave as much behind again, and what lies outside
 * of the heap goes later still.
 */

/** So much is looked at at once. */
const LOOK_EVERY_BYTES = 2 * 1024 * 1024;
/** What a process may come to hold more than after a collection, before the next one. */
const GROWTH_BYTES = 64 * 1024 * 1024;
/** Below this nothing is collected for its own sake. */
const LEAST_BYTES = 160 * 1024 * 1024;

export interface GarbageOptions {
  /** Bytes that are resident. */
  readonly resident_bytes: () => number;
  readonly collect: () => void;
}

export class Garbage {
  readonly #options: GarbageOptions;
  #unseen_bytes = 0;
  #settled_bytes = 0;

  constructor(options: GarbageOptions) {
    this.#options = options;
  }

  /** @param bytes of what was read and is done with. */
  left(bytes: number): void {
    this.#unseen_bytes += bytes;
    if (this.#unseen_bytes < LOOK_EVERY_BYTES) return;
    this.#unseen_bytes = 0;
    const { resident_bytes, collect } = this.#options;
    if (resident_bytes() < Math.max(LEAST_BYTES, this.#settled_bytes + GROWTH_BYTES)) return;
    collect();
    this.#settled_bytes = resident_bytes();
  }
}

/** Of this process. */
export const garbage = new Garbage({
  resident_bytes: () => process.memoryUsage.rss(),
  collect: () => Bun.gc(true),
});
