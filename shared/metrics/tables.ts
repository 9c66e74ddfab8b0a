/** Counts and histograms kept as plain numbers: nothing is made for a metric before it is read, and what is counted apart is bounded. */
import type { Family, Sample } from "./prometheus-text.ts";

/** Values of labels are mostly clients' to choose; beyond so many combinations they are counted together. */
const MOST = 1000;
const SEPARATOR = "\u0000";
const OTHERS = "other";

export interface TableOptions {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

interface Emptied {
  /** Begins anew at nothing; who counts goes on in it. */
  reset(): void;
}

/** Those of this process that somebody still has. */
const tables = new Set<WeakRef<Emptied>>();

/** What is answered to whoever has reset them. */
export const metricsResetText = "metrics reset\n";

/** Begins every table of this process anew, as upstream's components do with theirs on a DELETE of their metrics. */
export function resetTables(): void {
  for (const reference of tables) {
    const table = reference.deref();
    if (table) table.reset();
    else tables.delete(reference);
  }
}

abstract class Table<Value extends Emptied> implements Emptied {
  readonly #values = new Map<string, Value>();

  constructor(protected readonly options: TableOptions) {
    tables.add(new WeakRef<Emptied>(this));
  }

  protected abstract make(): Value;

  /** In place: who counts often keeps the value. */
  reset(): void {
    for (const value of this.#values.values()) value.reset();
  }

  /** For who counts often: the value itself. */
  of(labels: readonly string[]): Value {
    const key = labels.join(SEPARATOR);
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const others = this.options.labels.map(() => OTHERS);
    if (this.#values.size >= MOST && key !== others.join(SEPARATOR)) return this.of(others);
    const made = this.make();
    this.#values.set(key, made);
    return made;
  }

  protected labelled(): [labels: Record<string, string>, value: Value][] {
    const { labels } = this.options;
    // What can be one series only is told before there is anything to tell: 0.
    if (labels.length === 0) this.of([]);
    return [...this.#values].map(([key, value]) => {
      const parts = key.split(SEPARATOR);
      return [Object.fromEntries(labels.map((label, index) => [label, parts[index] ?? ""])), value];
    });
  }
}

class Count {
  count = 0;

  reset(): void {
    this.count = 0;
  }
}

export class CounterTable extends Table<Count> {
  add(labels: readonly string[] = [], by = 1): void {
    this.of(labels).count += by;
  }

  protected make(): Count {
    return new Count();
  }

  family(): Family {
    const { name, help } = this.options;
    return {
      name,
      help,
      type: "counter",
      samples: this.labelled().map(([labels, { count }]) => ({ labels, value: count })),
    };
  }
}

/** How often a value was within each bound alone, how often in all, and the sum of the values. */
export class Histogram {
  readonly #within: Uint32Array;
  count = 0;
  sum = 0;

  constructor(readonly bounds: readonly number[]) {
    this.#within = new Uint32Array(bounds.length);
  }

  observe(value: number): void {
    this.count += 1;
    this.sum += value;
    const { bounds } = this;
    for (let bucket = 0; bucket < bounds.length; bucket += 1) {
      if (!(value <= (bounds[bucket] ?? 0))) continue;
      this.#within[bucket] = (this.#within[bucket] ?? 0) + 1;
      return;
    }
  }

  reset(): void {
    this.#within.fill(0);
    this.count = 0;
    this.sum = 0;
  }

  /** Buckets hold what those before them hold; of some bounds, where only these are asked for. */
  samples(labels: Sample["labels"], shown: readonly number[] = this.bounds): Sample[] {
    const wanted = new Set(shown);
    let below = 0;
    const buckets = this.bounds.flatMap((bound, index) => {
      below += this.#within[index] ?? 0;
      return wanted.has(bound) ? [{ suffix: "_bucket", labels: { ...labels, le: String(bound) }, value: below }] : [];
    });
    return [
      ...buckets,
      { suffix: "_bucket", labels: { ...labels, le: "+Inf" }, value: this.count },
      { suffix: "_sum", labels, value: this.sum },
      { suffix: "_count", labels, value: this.count },
    ];
  }
}

export class HistogramTable extends Table<Histogram> {
  constructor(
    options: TableOptions,
    private readonly bounds: readonly number[],
  ) {
    super(options);
  }

  observe(value: number, labels: readonly string[] = []): void {
    this.of(labels).observe(value);
  }

  protected make(): Histogram {
    return new Histogram(this.bounds);
  }

  family(): Family {
    const { name, help } = this.options;
    return {
      name,
      help,
      type: "histogram",
      samples: this.labelled().flatMap(([labels, each]) => each.samples(labels)),
    };
  }
}

const SUMMARY_HALF_MS = 9_000_000;
const SUMMARY_FROM = 1e-6;
const SUMMARY_STEPS = 4;
const SUMMARY_BUCKETS = 112;

/**
 * How often a value was seen, and below what value so many of the latest were: in the last 5 hours, of which half are forgotten at
 * once. Values are kept to a factor of 2^(1/4), from a millionth to some 250: 900 bytes.
 */
export class Summary {
  #recent = new Uint32Array(SUMMARY_BUCKETS);
  #former = new Uint32Array(SUMMARY_BUCKETS);
  #turnsAt_ms: number;
  count = 0;
  sum = 0;

  constructor(private readonly now_ms: () => number = () => performance.now()) {
    this.#turnsAt_ms = now_ms() + SUMMARY_HALF_MS;
  }

  observe(value: number): void {
    this.#turn();
    this.count += 1;
    this.sum += value;
    const step = Math.ceil(Math.log2(value / SUMMARY_FROM) * SUMMARY_STEPS);
    const bucket = value > SUMMARY_FROM ? Math.min(step, SUMMARY_BUCKETS - 1) : 0;
    this.#recent[bucket] = (this.#recent[bucket] ?? 0) + 1;
  }

  reset(): void {
    this.#recent.fill(0);
    this.#former.fill(0);
    this.count = 0;
    this.sum = 0;
  }

  /** NaN where nothing was seen of late, as Prometheus' clients have it. */
  quantile(share: number): number {
    this.#turn();
    const total = this.#recent.reduce((sum, seen) => sum + seen, 0) + this.#former.reduce((sum, seen) => sum + seen, 0);
    if (total === 0) return Number.NaN;
    let below = 0;
    let bucket = 0;
    while (bucket < SUMMARY_BUCKETS - 1) {
      below += (this.#recent[bucket] ?? 0) + (this.#former[bucket] ?? 0);
      if (below >= share * total) break;
      bucket += 1;
    }
    return Number((SUMMARY_FROM * 2 ** (bucket / SUMMARY_STEPS)).toPrecision(6));
  }

  samples(labels: Sample["labels"]): Sample[] {
    return [
      ...[0.5, 0.9, 0.99].map((share) => ({
        labels: { ...labels, quantile: String(share) },
        value: this.quantile(share),
      })),
      { suffix: "_sum", labels, value: this.sum },
      { suffix: "_count", labels, value: this.count },
    ];
  }

  #turn(): void {
    const now_ms = this.now_ms();
    if (now_ms < this.#turnsAt_ms) return;
    const isLongAgo = now_ms >= this.#turnsAt_ms + SUMMARY_HALF_MS;
    [this.#former, this.#recent] = [this.#recent, this.#former];
    this.#recent.fill(0);
    if (isLongAgo) this.#former.fill(0);
    this.#turnsAt_ms = now_ms + SUMMARY_HALF_MS;
  }
}

export class SummaryTable extends Table<Summary> {
  protected make(): Summary {
    return new Summary();
  }

  family(): Family {
    const { name, help } = this.options;
    return {
      name,
      help,
      type: "summary",
      samples: this.labelled().flatMap(([labels, each]) => each.samples(labels)),
    };
  }
}

/** `first`, then each a `factor` of the one before. */
export const exponential = (first: number, factor: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => Number((first * factor ** index).toPrecision(12)));
