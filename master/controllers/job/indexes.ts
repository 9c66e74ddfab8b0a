interface Interval {
  readonly first: number;
  readonly last: number;
}

/** A set of completion indexes as sorted intervals, and as the text of a Job's status: `1,3-5,7`. Immutable. */
export class Indexes {
  static readonly none = new Indexes([]);
  readonly intervals: readonly Interval[];

  private constructor(intervals: readonly Interval[]) {
    this.intervals = intervals;
  }

  static of(indexes: Iterable<number>): Indexes {
    return Indexes.#merged([...indexes].map((index) => ({ first: index, last: index })));
  }

  /** Of a text; indexes from `completions` on, and parts that are no numbers, are left out. */
  static parse(text: string | undefined, completions: number): Indexes {
    const intervals: Interval[] = [];
    for (const part of (text ?? "").split(",")) {
      const match = /^(\d+)(?:-(\d+))?$/.exec(part);
      if (!match) continue;
      const first = Number(match[1]);
      const last = Math.min(Number(match[2] ?? match[1]), completions - 1);
      if (first < completions && last >= first) intervals.push({ first, last });
    }
    return Indexes.#merged(intervals);
  }

  static #merged(intervals: readonly Interval[]): Indexes {
    const merged: Interval[] = [];
    for (const interval of intervals.toSorted((a, b) => a.first - b.first)) {
      const before = merged.at(-1);
      if (!before || interval.first > before.last + 1) merged.push(interval);
      else merged[merged.length - 1] = { first: before.first, last: Math.max(before.last, interval.last) };
    }
    return new Indexes(merged);
  }

  union(other: Indexes): Indexes {
    return Indexes.#merged([...this.intervals, ...other.intervals]);
  }

  has(index: number): boolean {
    return this.intervals.some(({ first, last }) => first <= index && index <= last);
  }

  get count(): number {
    return countOf(this.intervals);
  }

  /** How many indexes both have. */
  overlap(other: Indexes): number {
    const common = this.intervals.flatMap((a) =>
      other.intervals.map((b) => ({ first: Math.max(a.first, b.first), last: Math.min(a.last, b.last) })),
    );
    return countOf(common.filter(({ first, last }) => last >= first));
  }

  /** The first `count` indexes below `completions` that are not in the set. */
  firstAbsent(count: number, completions: number): number[] {
    const absent: number[] = [];
    let candidate = 0;
    for (const { first, last } of [...this.intervals, { first: completions, last: completions }]) {
      for (; candidate < Math.min(first, completions) && absent.length < count; candidate++) absent.push(candidate);
      candidate = Math.max(candidate, last + 1);
    }
    return absent;
  }

  toString(): string {
    return this.intervals
      .map(({ first, last }) => (first === last ? `${first}` : `${first}${last === first + 1 ? "," : "-"}${last}`))
      .join(",");
  }
}

const countOf = (intervals: readonly Interval[]): number =>
  intervals.reduce((count, { first, last }) => count + last - first + 1, 0);
