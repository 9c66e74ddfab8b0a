/** Time as the machinery here uses it. Durations are measured on `now_ms`, which never jumps: boards have no clock of
 *  their own and set it by leaps. `wall_ms` is only for what is written into objects. */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary start. */
  now_ms(): number;
  /** Milliseconds since 1970 by the board's clock. */
  wall_ms(): number;
  /** Calls `run` once after the delay. Gives a function that cancels. Never keeps the process alive by itself. */
  after(delay_ms: number, run: () => void): () => void;
}

/** The longest delay that setTimeout takes (2^31-1 ms); longer ones would fire at once. */
const longestTimer_ms = 2_147_483_647;

export const systemClock: Clock = {
  now_ms: () => performance.now(),
  wall_ms: () => Date.now(),
  after(delay_ms, run) {
    const timer = setTimeout(run, Math.min(Math.max(0, delay_ms), longestTimer_ms));
    timer.unref?.();
    return () => clearTimeout(timer);
  },
};

/** A clock that stands still until told to move, for tests of anything that waits. */
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

/** Resolves after the delay, or at once when the signal aborts; never rejects. */
export function pause(clock: Clock, delay_ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const cancel = clock.after(delay_ms, done);
    function done(): void {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** RFC 3339 with whole seconds, as metav1.Time. */
export function timestamp(clock: Clock): string {
  return `${new Date(clock.wall_ms()).toISOString().slice(0, 19)}Z`;
}

/** RFC 3339 with microseconds, as metav1.MicroTime. */
export function microTimestamp(clock: Clock): string {
  const wall_ms = clock.wall_ms();
  const micros = Math.floor((wall_ms - Math.floor(wall_ms)) * 1000);
  return `${new Date(Math.floor(wall_ms)).toISOString().slice(0, 23)}${String(micros).padStart(3, "0")}Z`;
}
