import { type Clock, systemClock } from "#shared/client/clock.ts";
import { exponentialDelay_ms } from "#shared/client/exponential-delay.ts";

const first_ms = 5_000;
const longest_ms = 60_000;

/** When values that could not be read are tried again: ever more seldom while they cannot, at once when that may have changed. */
export class Unsealing {
  readonly #attempt: () => Promise<void>;
  readonly #clock: Clock;
  #failures = 0;
  #cancel: (() => void) | undefined;
  #running = false;
  /** Something has changed during an attempt, which may have seen what was before. */
  #isAskedAgain = false;
  #stopped = false;

  /** @param attempt reads them anew, and plans again where some still cannot be read. Never rejects. */
  constructor(attempt: () => Promise<void>, clock: Clock = systemClock) {
    this.#attempt = attempt;
    this.#clock = clock;
  }

  /** There are such values: an attempt follows, if none is to follow yet. */
  plan(): void {
    if (this.#stopped || this.#cancel) return;
    const delay_ms = exponentialDelay_ms(this.#failures, first_ms, longest_ms);
    this.#cancel = this.#clock.after(delay_ms, () => void this.#run());
  }

  /** Another value cannot be read: a new trouble, which may be a short one. */
  begin(): void {
    if (this.#failures > 0) this.#forget();
    this.plan();
  }

  /** Keys have come, or a key service is well again. */
  promptly(): void {
    if (this.#stopped) return;
    if (this.#running) {
      this.#isAskedAgain = true;
      return;
    }
    if (!this.#cancel) return;
    this.#forget();
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#forget();
  }

  #forget(): void {
    this.#failures = 0;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  async #run(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#failures++;
    this.#running = true;
    await this.#attempt();
    this.#running = false;
    if (!this.#cancel) this.#failures = 0;
    if (!this.#isAskedAgain) return;
    this.#isAskedAgain = false;
    this.promptly();
  }
}
