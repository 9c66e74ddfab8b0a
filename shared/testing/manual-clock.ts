import type { Clock } from "../client/clock.ts";

/** A clock that stands still until told to move. */
export class ManualClock implements Clock {
  #now_ms = 0;
  #timers: { at_ms: number; order: number; run: () => void }[] = [];
  #order = 0;

  readonly #start_wall_ms: number;

  constructor(start_wall_ms = 1_700_000_000_000) {
    this.#start_wall_ms = start_wall_ms;
  }

  now_ms(): number {
    return this.#now_ms;
  }

  wall_ms(): number {
    return this.#start_wall_ms + this.#now_ms;
  }

  after(delay_ms: number, run: () => void): () => void {
    const timer = { at_ms: this.#now_ms + Math.max(0, delay_ms), order: this.#order++, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** How many calls of `after` wait for their time. */
  get waiting(): number {
    return this.#timers.length;
  }

  /** Moves on by `ms`, running what falls due in order, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const end_ms = this.#now_ms + ms;
    for (;;) {
      await settle();
      const due = this.#timers
        .filter((timer) => timer.at_ms <= end_ms)
        .sort((a, b) => a.at_ms - b.at_ms || a.order - b.order)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#now_ms = Math.max(this.#now_ms, due.at_ms);
      due.run();
    }
    this.#now_ms = end_ms;
    await settle();
  }
}

/** Lets everything run that waits on promises alone. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
