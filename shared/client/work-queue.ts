import {
  type NamedQueue,
  namedQueues,
  queueAdds,
  queueRetries,
  queueWaits,
  queueWork,
} from "#shared/metrics/work-queues.ts";
import { type Clock, systemClock } from "./clock.ts";
import { DeadlineHeap } from "./deadline-heap.ts";
import { exponentialDelay_ms } from "./exponential-delay.ts";

export interface WorkQueueOptions {
  /** It is counted under this name; a queue without one is not. */
  readonly name?: string | undefined;
  readonly clock?: Clock | undefined;
  /** First delay of `addRateLimited`; doubles with every failure of the same key. */
  readonly firstBackOff_ms?: number | undefined;
  readonly longestBackOff_ms?: number | undefined;
}

/**
 * A queue of keys between event handlers and workers, with the contract of client-go's workqueue:
 * - fair: keys come out in the order in which they went in;
 * - deduplicated: a key waiting already is not added twice, so its length is bounded by the number of objects;
 * - stingy: a key is never processed by two workers at once. One that is added while it is being processed (dirty) is
 *   handed out again after `done`;
 * - delayed and rate-limited adds: the earliest of several delays of one key wins; failures of a key back off
 *   exponentially until `forget`;
 * - `shutDown` ends every `get` with undefined; what still waits is dropped, for the next start reads it all again.
 * One timer serves all delays and runs only while something waits.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #firstBackOff_ms: number;
  readonly #longestBackOff_ms: number;
  readonly #name: string | undefined;
  #metered: NamedQueue | undefined;
  /** Since when, in ms of the clock. */
  readonly #waiting = new Map<string, number>();
  readonly #processing = new Map<string, number>();
  readonly #dirtyAgain = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #delayed = new DeadlineHeap();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  #cancelTimer: (() => void) | undefined;
  #timerAt_ms = Number.POSITIVE_INFINITY;
  #shutDown = false;

  constructor(options: WorkQueueOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#firstBackOff_ms = options.firstBackOff_ms ?? 5;
    this.#longestBackOff_ms = options.longestBackOff_ms ?? 60_000;
    this.#name = options.name;
    if (options.name !== undefined) namedQueues.add(this.#meteredAs(options.name));
  }

  /** For /metrics, which reads it as it stands then. */
  #meteredAs(name: string): NamedQueue {
    const [waiting, processing, clock] = [this.#waiting, this.#processing, this.#clock];
    this.#metered = {
      name,
      get length() {
        return waiting.size;
      },
      get began_ms() {
        return processing.values();
      },
      now_ms: () => clock.now_ms(),
    };
    return this.#metered;
  }

  /** Keys ready to be taken. */
  get length(): number {
    return this.#waiting.size;
  }

  /** Something waits or runs; what is only delayed does neither. */
  get busy(): boolean {
    return this.#waiting.size > 0 || this.#processing.size > 0;
  }

  /** Nothing waits, runs or is delayed. */
  get idle(): boolean {
    return !this.busy && this.#delayed.size === 0;
  }

  get isShutDown(): boolean {
    return this.#shutDown;
  }

  add(key: string): void {
    if (this.#shutDown) return;
    if (this.#processing.has(key)) {
      this.#dirtyAgain.add(key);
      return;
    }
    if (this.#waiting.has(key)) return;
    const now_ms = this.#clock.now_ms();
    if (this.#name !== undefined) queueAdds.add([this.#name]);
    const taker = this.#takers.shift();
    if (taker) {
      this.#take(key, now_ms, now_ms);
      taker(key);
    } else {
      this.#waiting.set(key, now_ms);
    }
  }

  #take(key: string, since_ms: number, now_ms: number): void {
    this.#processing.set(key, now_ms);
    if (this.#name !== undefined) queueWaits.observe((now_ms - since_ms) / 1000, [this.#name]);
  }

  /** Adds after the delay; at once for 0 or less. */
  addAfter(key: string, delay_ms: number): void {
    if (this.#shutDown) return;
    if (delay_ms <= 0) {
      this.add(key);
      return;
    }
    this.#delayed.set(key, this.#clock.now_ms() + delay_ms);
    this.#arm();
  }

  /** Adds after the key's back-off: doubles with each call until `forget`. */
  addRateLimited(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    if (this.#name !== undefined) queueRetries.add([this.#name]);
    this.addAfter(key, exponentialDelay_ms(failures, this.#firstBackOff_ms, this.#longestBackOff_ms));
  }

  /** The key did well (or is given up): its next failure starts from the first delay again. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  failuresOf(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** Waits for the next key; undefined after shutDown. Each key taken must be given back by `done`. */
  get(): Promise<string | undefined> {
    if (this.#shutDown) return Promise.resolve(undefined);
    for (const [key, since_ms] of this.#waiting) {
      this.#waiting.delete(key);
      this.#take(key, since_ms, this.#clock.now_ms());
      return Promise.resolve(key);
    }
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  done(key: string): void {
    const began_ms = this.#processing.get(key);
    this.#processing.delete(key);
    if (this.#name !== undefined && began_ms !== undefined)
      queueWork.observe((this.#clock.now_ms() - began_ms) / 1000, [this.#name]);
    if (this.#dirtyAgain.delete(key)) this.add(key);
  }

  shutDown(): void {
    this.#shutDown = true;
    if (this.#metered) namedQueues.delete(this.#metered);
    this.#cancelTimer?.();
    this.#waiting.clear();
    this.#dirtyAgain.clear();
    this.#delayed.clear();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  #arm(): void {
    const next_ms = this.#delayed.earliest_ms;
    if (next_ms >= this.#timerAt_ms) return;
    this.#cancelTimer?.();
    this.#timerAt_ms = next_ms;
    this.#cancelTimer = this.#clock.after(next_ms - this.#clock.now_ms(), () => this.#release());
  }

  #release(): void {
    this.#timerAt_ms = Number.POSITIVE_INFINITY;
    for (const key of this.#delayed.takeUntil(this.#clock.now_ms())) this.add(key);
    if (this.#delayed.size > 0) this.#arm();
  }
}
