import { type Clock, systemClock } from "#shared/client/clock.ts";

/** Between two ticks; also the longest time that one tick adds. */
const tick_ms = 1_000;

/**
 * Counts only the time in which this process could listen. One that was starved, frozen or swapped out for a while has
 * not heard of anybody, and nobody was silent because of that: what came meanwhile lies in the kernel's buffers and is
 * read before the next tick. Silence is measured on this clock; it never runs faster than the monotonic one.
 */
export class ListeningClock {
  #listened_ms = 0;
  #ticked_ms: number;
  #cancel: (() => void) | undefined;
  readonly #clock: Clock;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#ticked_ms = clock.now_ms();
  }

  /** Milliseconds from an arbitrary start, to the last tick. */
  now_ms(): number {
    return this.#listened_ms;
  }

  /** Ticks every second, for as long as somebody listens. @param onTick called after the clock has moved on. */
  start(onTick: () => void = () => undefined): void {
    this.#ticked_ms = this.#clock.now_ms();
    const tick = (): void => {
      const now_ms = this.#clock.now_ms();
      // A tick that comes late shows that the loop did not run: what is more than a tick was not listened to.
      this.#listened_ms += Math.min(now_ms - this.#ticked_ms, tick_ms);
      this.#ticked_ms = now_ms;
      this.#cancel = this.#clock.after(tick_ms, tick);
      onTick();
    };
    this.#cancel = this.#clock.after(tick_ms, tick);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
