/** Values that many objects have alike, each kept once as long as it is among the last that were new. */
export class Interned<T> {
  readonly #values = new Map<string, T>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  /** The value known under this text, or the one given. */
  get(text: string, value: T): T {
    const known = this.#values.get(text);
    if (known !== undefined) return known;
    const [oldest] = this.#values.size < this.#most ? [] : this.#values.keys();
    if (oldest !== undefined) this.#values.delete(oldest);
    this.#values.set(text, value);
    return value;
  }
}
