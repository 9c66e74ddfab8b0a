import { BoundedMap } from "#shared/compact/bounded-map.ts";

const first_ms = 1000;
const longest_ms = 15 * 60_000;
const mostEntries = 4096;

/** How long to leave a failed daemon of a node alone before the next attempt: doubles with each failure, and starts
 *  anew after a long time without. Kept in memory alone; bounded. */
export class FailureBackOff {
  readonly #entries = new BoundedMap<{ readonly wait_ms: number; readonly since_ms: number }>(mostEntries);

  /** 0 when the next attempt may be made, which this counts as; else what is left to wait. */
  attempt(key: string, now_ms: number): number {
    const known = this.#entries.get(key);
    const passed_ms = now_ms - (known?.since_ms ?? 0);
    if (known && passed_ms < known.wait_ms) return known.wait_ms - passed_ms;
    const wait_ms = known && passed_ms < 2 * longest_ms ? Math.min(known.wait_ms * 2, longest_ms) : first_ms;
    this.#entries.set(key, { wait_ms, since_ms: now_ms });
    return 0;
  }
}
