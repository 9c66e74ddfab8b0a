interface Point {
  readonly at_ms: number;
  readonly cpu_ns: number;
}

/** A rate over less than this says little. */
const shortest_ms = 2_000;
/** A rate over more than this says little about now. */
const longest_ms = 300_000;

/**
 * CPU now, from counters that are read when somebody asks: the mean since the last question that lies far enough back.
 * Bounded by what is counted at one time: what a question leaves out is forgotten.
 */
export class CpuRates {
  #points = new Map<string, Point>();
  #rates = new Map<string, number>();

  /** Cores in use times 10⁹ by key; a key that was never asked for before has none yet. */
  update(counters: ReadonlyMap<string, Point>): ReadonlyMap<string, number> {
    const points = new Map<string, Point>();
    const rates = new Map<string, number>();
    for (const [key, now] of counters) {
      const before = this.#points.get(key);
      const passed_ms = before ? now.at_ms - before.at_ms : 0;
      const restarted = before !== undefined && now.cpu_ns < before.cpu_ns;
      if (before && !restarted && passed_ms < shortest_ms) {
        points.set(key, before);
        const known = this.#rates.get(key);
        if (known !== undefined) rates.set(key, known);
        continue;
      }
      points.set(key, now);
      if (before && !restarted && passed_ms <= longest_ms)
        rates.set(key, Math.round(((now.cpu_ns - before.cpu_ns) / passed_ms) * 1000));
    }
    this.#points = points;
    this.#rates = rates;
    return rates;
  }
}
