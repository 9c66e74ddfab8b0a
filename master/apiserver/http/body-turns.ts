/** Large bodies are read one after another: what is made of one while its request is answered may take many times its length. */

/** From then on a body waits for its turn. */
export const LARGE_BYTES = 128 * 1024;
/** As much as the largest body has; of shorter ones so many at once. */
const AT_ONCE_BYTES = 3 * 1024 * 1024;
/** Then the next one goes on all the same: a webhook that is asked may ask in turn, with a large body of its own. */
const LONGEST_MS = 5000;

interface Waiting {
  readonly bytes: number;
  readonly resolve: (end: () => void) => void;
}

export class BodyTurns {
  readonly #waiting: Waiting[] = [];
  readonly #atOnce_bytes: number;
  readonly #longest_ms: number;
  #taken_bytes = 0;

  constructor(atOnce_bytes = AT_ONCE_BYTES, longest_ms = LONGEST_MS) {
    this.#atOnce_bytes = atOnce_bytes;
    this.#longest_ms = longest_ms;
  }

  /** Waits for a turn; what it gives ends that. */
  take(bytes: number): Promise<() => void> {
    return new Promise((resolve) => {
      this.#waiting.push({ bytes, resolve });
      this.#next();
    });
  }

  #next(): void {
    for (let next = this.#waiting[0]; next && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      next.resolve(this.#begun(next.bytes));
    }
  }

  #fits(bytes: number): boolean {
    return this.#taken_bytes === 0 || this.#taken_bytes + bytes <= this.#atOnce_bytes;
  }

  #begun(bytes: number): () => void {
    this.#taken_bytes += bytes;
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      this.#taken_bytes -= bytes;
      this.#next();
    };
    const timer = setTimeout(end, this.#longest_ms);
    return end;
  }
}

/** Of all transports of this process. */
export const bodyTurns = new BodyTurns();
