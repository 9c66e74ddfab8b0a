/**
 * A runtime's lists lack exit codes, times and addresses, and asking for each container and sandbox at every resync would keep
 * a small board busy. So answers are kept for as long as the listed state stays the same, and dropped by events and by our own
 * requests. Bounded by what exists.
 */
export class KeptDetails<T, S = number> {
  readonly #seen = new Map<string, { readonly state: S; readonly details: T }>();
  /** Counts `forget`s, so that an answer that was under way meanwhile is not kept. */
  #generation = 0;

  /** @param ask undefined: there is no such thing any more. */
  constructor(private readonly ask: (id: string) => Promise<{ state: S; details: T } | undefined>) {}

  /** The listed one is in that state. undefined: it has vanished meanwhile. */
  async of(id: string, state: S): Promise<T | undefined> {
    const seen = this.#seen.get(id);
    return seen?.state === state ? seen.details : await this.fresh(id);
  }

  /** Asks the runtime, always. */
  async fresh(id: string): Promise<T | undefined> {
    const generation = this.#generation;
    const found = await this.ask(id);
    if (found === undefined) this.#seen.delete(id);
    else if (generation === this.#generation) this.#seen.set(id, found);
    return found?.details;
  }

  /** What was seen last, of what does not change. */
  async known(id: string): Promise<T | undefined> {
    return this.#seen.get(id)?.details ?? (await this.fresh(id));
  }

  /** What was seen last, if it was. */
  seen(id: string): T | undefined {
    return this.#seen.get(id)?.details;
  }

  forget(id: string): void {
    this.#generation++;
    this.#seen.delete(id);
  }

  forgetAll(): void {
    this.#generation++;
    this.#seen.clear();
  }

  /** Forgets all but those that exist. */
  retain(ids: ReadonlySet<string>): void {
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id);
  }
}
