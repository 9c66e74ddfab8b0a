/** /metrics of the API server, under upstream's names. */
import type { Metric, Registry } from "prom-client";
import { levelGauges } from "../../flow-control/flow-counts.ts";
import type { RequestGate } from "../../flow-control/request-gate.ts";
import type { ApiResponse, RequestContext, RequestInfo } from "../request.ts";
import { latencyBuckets_s, type Series, SeriesTable } from "./request-series.ts";

interface Value {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
}

export class RequestMetrics {
  readonly #series = new SeriesTable();
  readonly #inflight = { readOnly: 0, mutating: 0 };
  readonly #metrics: Metric[] = [];
  #registry: Registry | undefined;

  constructor(gate: RequestGate) {
    this.#serve("counter", "apiserver_request_total", "Requests by verb, resource and answer.", ({ labels, codes }) =>
      [...codes].map(([code, value]) => ({ labels: { ...labels, code }, value })),
    );
    this.#serve(
      "histogram",
      "apiserver_request_duration_seconds",
      "How long requests took, watches and connections left out.",
      durationsOf,
    );
    this.#serve(
      "gauge",
      "apiserver_longrunning_requests",
      "Watches and connections that are open.",
      ({ labels, longRunning }) => (longRunning > 0 ? [{ labels, value: longRunning }] : []),
    );
    this.#register("gauge", "apiserver_current_inflight_requests", "Requests that are being answered.", () =>
      Object.entries(this.#inflight).map(([request_kind, value]) => ({ labels: { request_kind }, value })),
    );
    this.#registerGate(gate);
  }

  #registerGate(gate: RequestGate): void {
    for (const [name, { help, of }] of Object.entries(levelGauges)) {
      this.#register("gauge", name, help, () =>
        [...gate.levels].map((level) => ({ labels: { priority_level: level.name }, value: of(level) })),
      );
    }
    const prefix = "apiserver_flowcontrol";
    this.#register("counter", `${prefix}_dispatched_requests_total`, "Requests that were let in.", () =>
      gate.counts.dispatchedSamples(),
    );
    this.#register("counter", `${prefix}_rejected_requests_total`, "Requests that were refused.", () =>
      gate.counts.rejectedSamples(),
    );
  }

  #serve(type: string, name: string, help: string, valuesOf: (series: Series) => Value[]): void {
    this.#register(type, name, help, () => [...this.#series].flatMap(valuesOf));
  }

  /** The registry only ever asks a metric for its values; they are made when somebody reads them. */
  #register(type: string, name: string, help: string, values: () => Value[]): void {
    const metric = { name, help, type, aggregator: "sum", get: async () => ({ name, help, type, values: values() }) };
    this.#metrics.push(metric as unknown as Metric);
  }

  /** Notes that a request has begun; call what it gives when it is answered. */
  begin(info: RequestInfo): (code: number) => void {
    const series = this.#series.of(info);
    if (isLongRunning(info)) {
      series.longRunning += 1;
      return (code) => {
        series.answered(code);
        series.longRunning -= 1;
      };
    }
    const began_ms = performance.now();
    const kind = isReading(info) ? "readOnly" : "mutating";
    this.#inflight[kind] += 1;
    return (code) => {
      series.answered(code);
      this.#inflight[kind] -= 1;
      series.took((performance.now() - began_ms) / 1000);
    };
  }

  /** undefined: another path. */
  async handle({ info }: RequestContext): Promise<ApiResponse | undefined> {
    if (info.path !== "/metrics") return undefined;
    const { contentType, text } = await this.read();
    return { kind: "bytes", code: 200, contentType, body: text };
  }

  /** All of them, as Prometheus reads them. */
  async read(): Promise<{ readonly contentType: string; readonly text: string }> {
    this.#registry ??= await this.#firstRegistry();
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  /** Most clusters have nobody who asks: the library is loaded for the first who does. */
  async #firstRegistry(): Promise<Registry> {
    const { collectDefaultMetrics, Registry } = await import("prom-client");
    // Another may have asked meanwhile.
    if (this.#registry) return this.#registry;
    const registry = new Registry();
    for (const metric of this.#metrics) registry.registerMetric(metric);
    collectDefaultMetrics({ register: registry });
    return registry;
  }
}

function durationsOf({ labels, count, sum_s, within }: Series): Value[] {
  if (count === 0) return [];
  const name = "apiserver_request_duration_seconds";
  let below = 0;
  const buckets = latencyBuckets_s.map((le, index) => {
    below += within[index] ?? 0;
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: below };
  });
  return [
    ...buckets,
    { metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: count },
    { metricName: `${name}_sum`, labels, value: sum_s },
    { metricName: `${name}_count`, labels, value: count },
  ];
}

const connecting = ["exec", "attach", "portforward", "log", "proxy"];

/** Requests that last as long as the client likes. */
export function isLongRunning({ verb, subresource }: RequestInfo): boolean {
  return verb === "watch" || (subresource !== undefined && connecting.includes(subresource));
}

const isReading = ({ verb }: RequestInfo): boolean =>
  verb === "get" || verb === "list" || verb === "watch" || verb === "head";
