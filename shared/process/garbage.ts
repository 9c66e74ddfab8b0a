import { ample_bytes, usableMemory } from "./usable-memory.ts";

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
  /** Of memory that the process may use: where it is ample, nobody waits for a collection that the engine did not want. */
  readonly usable_bytes: () => number;
  /** Bytes that are resident. */
  readonly resident_bytes: () => number;
  readonly collect: () => void;
}

export class Garbage {
  readonly #options: GarbageOptions;
  #unseen_bytes = 0;
  #settled_bytes = 0;
  #isAmple: boolean | undefined;

  constructor(options: GarbageOptions) {
    this.#options = options;
  }

  /** @param bytes of what was read and is done with. */
  left(bytes: number): void {
    this.#unseen_bytes += bytes;
    if (this.#unseen_bytes < LOOK_EVERY_BYTES) return;
    this.#unseen_bytes = 0;
    const { usable_bytes, resident_bytes, collect } = this.#options;
    this.#isAmple ??= usable_bytes() >= ample_bytes;
    if (this.#isAmple) return;
    if (resident_bytes() < Math.max(LEAST_BYTES, this.#settled_bytes + GROWTH_BYTES)) return;
    collect();
    this.#settled_bytes = resident_bytes();
  }
}

/** Of this process. */
export const garbage = new Garbage({
  usable_bytes: usableMemory,
  resident_bytes: () => process.memoryUsage.rss(),
  collect: () => Bun.gc(true),
});
