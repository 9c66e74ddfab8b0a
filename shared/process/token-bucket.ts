/** How often something may be done: so many a second, and so many at once after a pause. */
export interface Rate {
  /** 0: as often as one likes. */
  readonly perSecond: number;
  readonly burst: number;
}

/** Lets things through at a rate. */
export class TokenBucket {
  #tokens: number;
  #filled_ms: number;

  constructor(
    private readonly rate: Rate,
    private readonly now_ms: () => number = () => performance.now(),
  ) {
    this.#tokens = rate.burst;
    this.#filled_ms = now_ms();
  }

  /** May one be done now? Then it counts as done. */
  take(): boolean {
    if (this.rate.perSecond === 0) return true;
    this.#fill();
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Counts one as done, and says how long it has to wait for that. */
  reserve_ms(): number {
    if (this.rate.perSecond === 0) return 0;
    this.#fill();
    this.#tokens--;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / this.rate.perSecond) * 1000;
  }

  #fill(): void {
    const now_ms = this.now_ms();
    const { perSecond, burst } = this.rate;
    this.#tokens = Math.min(burst, this.#tokens + ((now_ms - this.#filled_ms) / 1000) * perSecond);
    this.#filled_ms = now_ms;
  }
}
