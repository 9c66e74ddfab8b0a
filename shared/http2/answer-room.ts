/** What the answers of one connection may hold for a client that does not take them, before further ones wait to be made. */
const MOST_HELD_BYTES = 512 * 1024;
/** Then the next one is made all the same: it may be another stream alone whose window is shut. */
const LONGEST_MS = 5000;

/** Has a connection's answers made as its client takes them: it may ask for a hundred large ones at once, and read none. */
export class AnswerRoom {
  readonly #held_bytes: () => number;
  readonly #longest_ms: number;
  readonly #waiting: (() => void)[] = [];
  #late: ReturnType<typeof setTimeout> | undefined;
  /** The last one that was let go on is making its answer. */
  #isTaken = false;

  /** @param held_bytes what the client has not taken yet of all answers. */
  constructor(held_bytes: () => number, longest_ms = LONGEST_MS) {
    this.#held_bytes = held_bytes;
    this.#longest_ms = longest_ms;
  }

  /** Until there is room for another answer, in turn; undefined where there is. */
  wait(): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#held_bytes() < MOST_HELD_BYTES) return undefined;
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) this.#goOnLate();
    });
  }

  /** Some of what was held may have gone. */
  look(): void {
    if (this.#waiting.length > 0 && !this.#isTaken && this.#held_bytes() < MOST_HELD_BYTES) this.#next();
  }

  /** The connection is over: nobody waits for anything. */
  end(): void {
    clearTimeout(this.#late);
    for (const goOn of this.#waiting.splice(0)) goOn();
  }

  #next(): void {
    clearTimeout(this.#late);
    this.#isTaken = true;
    this.#waiting.shift()?.();
    setImmediate(() => {
      this.#isTaken = false;
      if (this.#waiting.length > 0) this.#goOnLate();
      this.look();
    });
  }

  #goOnLate(): void {
    clearTimeout(this.#late);
    this.#late = setTimeout(() => this.#next(), this.#longest_ms);
  }
}
