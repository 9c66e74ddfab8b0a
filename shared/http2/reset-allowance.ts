/** Requests that a client may give up in a short time, and how many more each second. */
const MAX_RESETS = 1000;
const RESETS_A_SECOND = 200;

/** How many more requests a client may give up: opening and resetting streams costs it nothing, and a server much. */
export class ResetAllowance {
  #left = MAX_RESETS;
  #at_ms = 0;

  constructor(private readonly now_ms = (): number => performance.now()) {}

  /** Takes one; false where none is left. */
  take(): boolean {
    const now_ms = this.now_ms();
    const more = ((now_ms - this.#at_ms) / 1000) * RESETS_A_SECOND;
    this.#left = Math.min(MAX_RESETS, this.#left + more) - 1;
    this.#at_ms = now_ms;
    return this.#left >= 0;
  }
}
