/**
 * What one producer pushes, one consumer iterates. When the consumer falls behind by more than `limit`, the queue ends
 * with the error that `overflow` makes (or without one): nothing grows without bound. What was pushed before an end is
 * still given, what was pushed before an overflow is not.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  #items: T[] = [];
  #head = 0;
  #weight = 0;
  #ended = false;
  #error: unknown;
  #wake: (() => void) | undefined;
  readonly #limit: number;
  readonly #overflow: () => Error | undefined;
  readonly #weigh: (item: T) => number;
  #afterwards: (() => void) | undefined;

  constructor(limit: number, overflow: () => Error | undefined, weigh: (item: T) => number = () => 1) {
    this.#limit = limit;
    this.#overflow = overflow;
    this.#weigh = weigh;
  }

  get ended(): boolean {
    return this.#ended;
  }

  push(item: T): void {
    if (this.#ended) return;
    this.#weight += this.#weigh(item);
    this.#items.push(item);
    // One item may be larger than the limit: it is the standing queue that must not grow.
    if (this.#weight > this.#limit && this.#items.length - this.#head > 1) {
      this.#items = [];
      this.#head = 0;
      this.end(this.#overflow());
      return;
    }
    this.#wake?.();
  }

  /** No more is to come; with `error` the consumer's iteration throws it. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
    this.#afterwards?.();
  }

  /** Calls `run` once, when the consumer leaves or the queue has ended; at once if it has. */
  whenEnded(run: () => void): void {
    if (this.#ended) run();
    else this.#afterwards = run;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        while (this.#head < this.#items.length) {
          const item = this.#items[this.#head] as T;
          this.#head += 1;
          this.#weight -= this.#weigh(item);
          if (this.#head === this.#items.length || this.#head > 1024) {
            this.#items.splice(0, this.#head);
            this.#head = 0;
          }
          yield item;
        }
        if (this.#ended) {
          if (this.#error !== undefined) throw this.#error;
          return;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    } finally {
      this.#items = [];
      this.#head = 0;
      this.end();
    }
  }
}
