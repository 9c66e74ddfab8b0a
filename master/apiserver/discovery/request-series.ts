/** Counts of requests by what they asked for, kept as plain numbers: each request finds its series by one look-up. */
import { exponential, Histogram } from "#shared/metrics/tables.ts";
import type { RequestInfo } from "../request.ts";

/** Upstream's, on which dashboards and alerts draw their lines. */
export const latencyBuckets_s = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
] as const;
/** The service level's begin later. */
export const sliBuckets_s = latencyBuckets_s.slice(2);

/** Upstream's. */
const responseBuckets_bytes = exponential(1000, 10, 7);

export type SeriesLabels = Readonly<
  Record<"verb" | "group" | "version" | "resource" | "subresource" | "scope" | "component", string>
>;

export class Series {
  readonly codes = new Map<number, number>();
  longRunning = 0;
  /** In seconds; made with the first request that is over, since some only ever last. */
  durations: Histogram | undefined;

  /** Of answers to reads, in bytes as they were sent. */
  sizes: Histogram | undefined;

  constructor(readonly labels: SeriesLabels) {}

  answered(code: number): void {
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
  }

  took(duration_s: number): void {
    this.durations ??= new Histogram(latencyBuckets_s);
    this.durations.observe(duration_s);
  }

  /** What lasts goes on. */
  reset(): void {
    this.codes.clear();
    this.durations?.reset();
    this.sizes?.reset();
  }

  sent(size_bytes: number): void {
    this.sizes ??= new Histogram(responseBuckets_bytes);
    this.sizes.observe(size_bytes);
  }
}

/** Paths are the clients' to choose, so what is counted apart is bounded. */
const MAX_SERIES = 2000;
/** Of what is not served: nobody who makes up paths takes the place of what is. */
const MAX_UNSERVED = 1000;

export class SeriesTable {
  readonly #series = new Map<string, Series>();
  #unserved = 0;
  readonly #others = new Series(labelsOf("other", "", "", "", "", ""));

  constructor(private readonly isServed: (info: RequestInfo) => boolean) {}

  /** @param contentType of the request's body. */
  of(info: RequestInfo, contentType?: string): Series {
    const { group, version, resource, subresource = "" } = info;
    const [verb, scope] = [verbOf(info, contentType), scopeOf(info)];
    const key = `${verb} ${group}/${version}/${resource}/${subresource} ${scope}`;
    const known = this.#series.get(key);
    if (known) return known;
    const isUnserved = !this.isServed(info);
    if (this.#series.size >= MAX_SERIES || (isUnserved && this.#unserved >= MAX_UNSERVED)) return this.#others;
    if (isUnserved) this.#unserved += 1;
    const made = new Series(labelsOf(verb, group, version, resource, subresource, scope));
    this.#series.set(key, made);
    return made;
  }

  reset(): void {
    for (const series of this.#series.values()) series.reset();
    this.#others.reset();
  }

  *[Symbol.iterator](): Generator<Series> {
    yield* this.#series.values();
    if (this.#others.codes.size > 0 || this.#others.longRunning > 0) yield this.#others;
  }
}

const connections = new Set(["log", "exec", "portforward", "attach", "proxy"]);
/** By what is done; of what is no resource, by the method. */
const verbs: Readonly<Record<string, string>> = {
  get: "GET",
  head: "GET",
  list: "LIST",
  watch: "WATCH",
  create: "POST",
  post: "POST",
  update: "PUT",
  put: "PUT",
  patch: "PATCH",
  delete: "DELETE",
  deletecollection: "DELETE",
};

/** As upstream names it, on which dashboards and alerts rely: the method, but for lists, watches, applies and connections. */
export function verbOf(
  { verb, subresource = "", isResourceRequest }: RequestInfo,
  contentType: string | undefined,
): string {
  if (isResourceRequest && connections.has(subresource)) return "CONNECT";
  if (verb === "patch" && contentType === "application/apply-patch+yaml") return "APPLY";
  return verbs[verb] ?? "other";
}

/** What is created counts as named. */
export function scopeOf({ verb, name, namespace, isResourceRequest }: RequestInfo): string {
  if (!isResourceRequest) return "";
  if (name || verb === "create") return "resource";
  return namespace ? "namespace" : "cluster";
}

function labelsOf(
  verb: string,
  group: string,
  version: string,
  resource: string,
  subresource: string,
  scope: string,
): SeriesLabels {
  return { verb, group, version, resource, subresource, scope, component: "apiserver" };
}
