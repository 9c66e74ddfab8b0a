/** /metrics of the API server, under upstream's names. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { ApiResponse, RequestContext, RequestInfo } from "../request.ts";

const labels = ["verb", "group", "version", "resource", "subresource", "scope"] as const;

export class RequestMetrics {
  readonly registry = new Registry();
  readonly #total = new Counter({
    name: "apiserver_request_total",
    help: "Requests by verb, resource and answer.",
    labelNames: [...labels, "code"],
    registers: [this.registry],
  });
  readonly #seconds = new Histogram({
    name: "apiserver_request_duration_seconds",
    help: "How long requests took, watches and connections left out.",
    labelNames: [...labels],
    buckets: [0.005, 0.025, 0.1, 0.5, 1, 5, 30, 60],
    registers: [this.registry],
  });
  readonly #inflight = new Gauge({
    name: "apiserver_current_inflight_requests",
    help: "Requests that are being answered.",
    labelNames: ["request_kind"],
    registers: [this.registry],
  });
  readonly #longRunning = new Gauge({
    name: "apiserver_longrunning_requests",
    help: "Watches and connections that are open.",
    labelNames: [...labels],
    registers: [this.registry],
  });
  #collectsDefaults = false;

  /** Notes that a request has begun; call what it gives when it is answered. */
  begin(info: RequestInfo): (code: number) => void {
    const named = labelsOf(info);
    const began_ms = performance.now();
    const longRunning = isLongRunning(info);
    const kind = { request_kind: isReading(info) ? "readOnly" : "mutating" };
    if (longRunning) this.#longRunning.inc(named);
    else this.#inflight.inc(kind);
    return (code) => {
      this.#total.inc({ ...named, code: String(code) });
      if (longRunning) this.#longRunning.dec(named);
      else {
        this.#inflight.dec(kind);
        this.#seconds.observe(named, (performance.now() - began_ms) / 1000);
      }
    };
  }

  /** undefined: another path. */
  async handle({ info }: RequestContext): Promise<ApiResponse | undefined> {
    if (info.path !== "/metrics") return undefined;
    if (!this.#collectsDefaults) {
      this.#collectsDefaults = true;
      collectDefaultMetrics({ register: this.registry });
    }
    return { kind: "bytes", code: 200, contentType: this.registry.contentType, body: await this.registry.metrics() };
  }
}

const connecting = ["exec", "attach", "portforward", "log", "proxy"];

/** Requests that last as long as the client likes. */
export function isLongRunning({ verb, subresource }: RequestInfo): boolean {
  return verb === "watch" || (subresource !== undefined && connecting.includes(subresource));
}

export const isReading = ({ verb }: RequestInfo): boolean =>
  verb === "get" || verb === "list" || verb === "watch" || verb === "head";

function labelsOf(info: RequestInfo): Record<(typeof labels)[number], string> {
  const { verb, group, version, resource, subresource = "", namespace, name } = info;
  const scope = !info.isResourceRequest ? "" : name ? "resource" : namespace ? "namespace" : "cluster";
  return { verb: verb.toUpperCase(), group, version, resource, subresource, scope };
}
