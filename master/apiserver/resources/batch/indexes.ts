/** Lists of indexes as Jobs write them: `1,3-5,7`. */

export interface Indexes {
  readonly intervals: readonly (readonly [first: number, last: number])[];
  readonly total: number;
}

/** Parses a list of indexes below `completions`; a text says what is wrong, as upstream words it. */
export function parseIndexes(text: string, completions: number): Indexes | string {
  const intervals: (readonly [number, number])[] = [];
  let total = 0;
  for (const part of text === "" ? [] : text.split(",")) {
    const interval = parseInterval(part, completions);
    if (typeof interval === "string") return interval;
    const previous = intervals.at(-1)?.[1];
    if (previous !== undefined && previous >= interval[0]) return outOfOrder(previous, interval[0]);
    total += interval[1] - interval[0] + 1;
    intervals.push(interval);
  }
  return { intervals, total };
}

const outOfOrder = (previous: number, current: number): string =>
  `non-increasing order, previous: ${previous}, current: ${current}`;

function parseInterval(text: string, completions: number): readonly [number, number] | string {
  const limits = text.split("-");
  if (limits.length > 2) {
    return `the fragment ${JSON.stringify(text)} violates the requirement that an index interval can have at most two parts separated by '-'`;
  }
  const bounds: number[] = [];
  for (const limit of limits) {
    if (!/^\+?[0-9]+$/.test(limit)) return `cannot convert string to integer for index: ${JSON.stringify(limit)}`;
    if (Number(limit) >= completions) return `too large index: ${JSON.stringify(limit)}`;
    bounds.push(Number(limit));
  }
  const [first = 0, last = first] = bounds;
  return bounds.length > 1 && first >= last ? outOfOrder(first, last) : [first, last];
}

/** The first index that two lists share, each of which rises. Parts that cannot be read are passed over. */
export function firstOverlap(a: string, b: string, completions: number): number | undefined {
  const intervals = (text: string) =>
    text
      .split(",")
      .map((part) => parseInterval(part, completions))
      .filter((each) => typeof each !== "string");
  const others = intervals(b);
  let next = 0;
  for (const [first, last] of intervals(a)) {
    let other = others[next];
    while (other && other[1] < first) other = others[++next];
    if (other && other[0] <= last) return Math.max(first, other[0]);
  }
  return undefined;
}
