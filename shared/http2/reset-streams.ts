const MAX_REMEMBERED = 128;

/** Streams that ended on our word: what their client sent before it heard that is no fault. The last ones are remembered. */
export class ResetStreams {
  readonly #ids = new Set<number>();

  add(id: number): void {
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (this.#ids.size > MAX_REMEMBERED && oldest !== undefined) this.#ids.delete(oldest);
  }

  has(id: number): boolean {
    return this.#ids.has(id);
  }

  /** What comes on it from now on is a fault. */
  forget(id: number): void {
    this.#ids.delete(id);
  }
}
