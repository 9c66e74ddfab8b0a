import { type Clock, systemClock } from "./clock.ts";

/**
 * Work on one thing that is done over and over, one run at a time. Level-based: a prompt says only that a look is due, and
 * prompts during a run cause one more run, however many they are.
 */
export class PromptedLoop {
  readonly #run: () => Promise<number | undefined>;
  readonly #clock: Clock;
  #isPrompted = false;
  #isEnded = false;
  #running: Promise<void> | undefined;
  #cancelWake: (() => void) | undefined;

  /** @param run gives after how many milliseconds to run again though nobody prompts; undefined: then not at all. Must not
   *  reject: what a failure means is its own to decide. */
  constructor(run: () => Promise<number | undefined>, clock: Clock = systemClock) {
    this.#run = run;
    this.#clock = clock;
  }

  /** No run begins any more. */
  get hasEnded(): boolean {
    return this.#isEnded;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  prompt(): void {
    this.#isPrompted = true;
    if (!this.#isEnded) this.#running ??= this.#loop();
  }

  /** Lets the run under way go on, and begins no other. */
  end(): void {
    this.#isEnded = true;
    this.#cancelWake?.();
  }

  /** Ends, and resolves when the run under way is over. */
  async stop(): Promise<void> {
    this.end();
    await this.#running;
  }

  async #loop(): Promise<void> {
    let wake_ms: number | undefined;
    while (this.#isPrompted && !this.#isEnded) {
      this.#isPrompted = false;
      this.#cancelWake?.();
      wake_ms = await this.#run();
    }
    this.#running = undefined;
    if (wake_ms !== undefined && !this.#isEnded) this.#cancelWake = this.#clock.after(wake_ms, () => this.prompt());
  }
}
