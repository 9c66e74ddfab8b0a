/** Counts of requests by what they asked for, kept as plain numbers: each request finds its series by one look-up. */
import type { RequestInfo } from "../request.ts";

export const latencyBuckets_s = [0.005, 0.025, 0.1, 0.5, 1, 5, 30, 60] as const;

export type SeriesLabels = Readonly<
  Record<"verb" | "group" | "version" | "resource" | "subresource" | "scope", string>
>;

export class Series {
  readonly codes = new Map<number, number>();
  longRunning = 0;
  count = 0;
  sum_s = 0;
  /** Requests within each bucket alone, not cumulated. */
  readonly within: number[] = latencyBuckets_s.map(() => 0);

  constructor(readonly labels: SeriesLabels) {}

  answered(code: number): void {
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
  }

  took(duration_s: number): void {
    this.count += 1;
    this.sum_s += duration_s;
    const bucket = latencyBuckets_s.findIndex((limit_s) => duration_s <= limit_s);
    if (bucket >= 0) this.within[bucket] = (this.within[bucket] ?? 0) + 1;
  }
}

/** Paths are the clients' to choose, so what is counted apart is bounded. */
const MAX_SERIES = 2000;

export class SeriesTable {
  readonly #series = new Map<string, Series>();
  readonly #others = new Series(labelsOf("other", "", "", "", "", ""));

  of(info: RequestInfo): Series {
    const { verb, group, version, resource, subresource = "", namespace, name } = info;
    const scope = !info.isResourceRequest ? "" : name ? "resource" : namespace ? "namespace" : "cluster";
    const key = `${verb} ${group}/${version}/${resource}/${subresource} ${scope}`;
    const known = this.#series.get(key);
    if (known) return known;
    if (this.#series.size >= MAX_SERIES) return this.#others;
    const made = new Series(labelsOf(verb.toUpperCase(), group, version, resource, subresource, scope));
    this.#series.set(key, made);
    return made;
  }

  *[Symbol.iterator](): Generator<Series> {
    yield* this.#series.values();
    if (this.#others.codes.size > 0 || this.#others.longRunning > 0) yield this.#others;
  }
}

function labelsOf(
  verb: string,
  group: string,
  version: string,
  resource: string,
  subresource: string,
  scope: string,
): SeriesLabels {
  return { verb, group, version, resource, subresource, scope };
}
