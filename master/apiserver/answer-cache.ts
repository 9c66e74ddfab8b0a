/** What a webhook answered lately: so that it is asked once for what many requests need. */

import { createHash } from "node:crypto";
import { BoundedMap } from "#shared/compact/bounded-map.ts";

interface Known<T> {
  readonly answer: T;
  readonly until_ms: number;
}

/** Holds so many answers at most; those that were not asked for the longest go first. */
export class AnswerCache<T> {
  readonly #known: BoundedMap<Known<T>>;
  readonly #asked = new Map<string, Promise<T>>();

  /** @param now_ms monotonic. */
  constructor(
    most: number,
    private readonly now_ms: () => number = () => performance.now(),
  ) {
    this.#known = new BoundedMap(most);
  }

  /** The known answer to a question, or else that of `ask`, kept for as long as `ttl_ms` says. A rejection is not kept. */
  async answer(question: string, ask: () => Promise<T>, ttl_ms: (answer: T) => number): Promise<T> {
    // Hashed: a question may be long, and may hold a token.
    const key = createHash("sha256").update(question).digest("base64");
    const known = this.#known.get(key);
    if (known && known.until_ms > this.now_ms()) {
      this.#known.set(key, known);
      return known.answer;
    }
    const asked = this.#asked.get(key);
    if (asked) return asked;
    const asking = this.#ask(key, ask, ttl_ms).finally(() => this.#asked.delete(key));
    this.#asked.set(key, asking);
    return asking;
  }

  async #ask(key: string, ask: () => Promise<T>, ttl_ms: (answer: T) => number): Promise<T> {
    const answer = await ask();
    const kept_ms = ttl_ms(answer);
    if (kept_ms <= 0) return answer;
    this.#known.set(key, { answer, until_ms: this.now_ms() + kept_ms });
    return answer;
  }
}
