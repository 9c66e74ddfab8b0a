import { messageOf } from "#shared/api/joined-errors.ts";
import type { Log } from "./log.ts";

/** What else goes wrong while a trouble stands is told too; errors that name a port or a time are others for ever. */
const mostTold = 5;

/**
 * The trouble of what is tried again and again: told once, and when it is another one, not at each try. A line a try would
 * wear out the card that the journal is on.
 */
export class StandingTrouble {
  readonly #told = new Set<string>();

  constructor(
    readonly log: Log,
    /** What is wrong, and that it is over. */
    readonly words: { readonly wrong: string; readonly over?: string },
  ) {}

  /** A try has failed. */
  tell(error: unknown, fields: Readonly<Record<string, unknown>> = {}): void {
    const text = messageOf(error);
    const isNew = !this.#told.has(text) && this.#told.size < mostTold;
    if (isNew) this.#told.add(text);
    this.log[isNew ? "warn" : "debug"](this.words.wrong, { ...fields, error });
  }

  /** It goes well. Says so if it did not before. */
  end(fields: Readonly<Record<string, unknown>> = {}): void {
    if (this.#told.size === 0) return;
    this.#told.clear();
    if (this.words.over !== undefined) this.log.info(this.words.over, fields);
  }
}
