/** A turn of the event loop should not be longer. */
const longestTurn_ms = 10;

/** Lets everybody else have a turn of the event loop. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Long work in pieces: asked between two of them, it lets the rest of the process run once enough time has gone by. */
export class Turn {
  #began_ms = performance.now();

  /** Whether others should have their turn now. */
  get isLong(): boolean {
    return performance.now() - this.#began_ms >= longestTurn_ms;
  }

  /** Resolves at once, or in a later turn of the event loop. */
  async pause(): Promise<void> {
    if (this.isLong) await this.end();
  }

  /** Resolves in a later turn. */
  async end(): Promise<void> {
    await nextTurn();
    this.#began_ms = performance.now();
  }
}
