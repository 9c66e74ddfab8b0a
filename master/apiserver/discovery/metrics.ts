/** /metrics of the API server, under upstream's names. */

import { authenticationReloads, authorizationReloads } from "#shared/metrics/configuration-reloads.ts";
import { processFamilies } from "#shared/metrics/process-families.ts";
import { type Family, renderPrometheus, type Sample } from "#shared/metrics/prometheus-text.ts";
import { CounterTable, HistogramTable } from "#shared/metrics/tables.ts";
import { levelGauges } from "../../flow-control/flow-counts.ts";
import type { RequestGate } from "../../flow-control/request-gate.ts";
import { admissionStepFamilies } from "../admission/admission-steps.ts";
import { podSecurityEvaluations, podSecurityExemptions } from "../admission/pod-security/evaluation-counts.ts";
import { conditionFamilies } from "../admission/policies/condition-metrics.ts";
import { policyFamilies } from "../admission/policies/policy-metrics.ts";
import { webhookFamilies } from "../admission/webhooks/webhook-metrics.ts";
import { auditFamilies } from "../audit/audit-metrics.ts";
import { tokenFamilies } from "../authn/token-metrics.ts";
import { clientCertificateExpirations } from "../authn/x509.ts";
import { authorizationDecisions } from "../authz/decision-counts.ts";
import { authorizationWebhookFamilies } from "../authz/webhook-metrics.ts";
import { ruleFamilies } from "../extensions/rule-metrics.ts";
import { deprecatedUses } from "../registry/deprecated-uses.ts";
import { watchEventSizes, watchEvents } from "../registry/watch.ts";
import type { ApiResponse, RequestContext, RequestInfo } from "../request.ts";
import { AccessMetrics } from "./access-metrics.ts";
import { AdmissionMetrics } from "./admission-metrics.ts";
import { metricsReset, metricsResponse } from "./metrics-response.ts";
import { latencyBuckets_s, type Series, SeriesTable, sliBuckets_s } from "./request-series.ts";

/** Upstream's: about as far as a body may be. */
const bodyBuckets_bytes = Array.from({ length: 31 }, (_, index) => 50_000 + 100_000 * index);

/** What refused a request before it was served, or gave up on it. */
const terminations = new Set([429, 504]);

/** Kept as numbers; what Prometheus reads is made of them when somebody asks. */
export class ServerMetrics {
  readonly access = new AccessMetrics();
  readonly admission = new AdmissionMetrics();
  readonly #gate: RequestGate;
  readonly #series: SeriesTable;
  readonly #bodies = new HistogramTable(
    {
      name: "apiserver_request_body_size_bytes",
      help: "Bytes of bodies of requests.",
      labels: ["group", "resource", "verb"],
    },
    bodyBuckets_bytes,
  );
  readonly handshakeErrors = new CounterTable({
    name: "apiserver_tls_handshake_errors_total",
    help: "Handshakes of TLS that came to nothing.",
    labels: [],
  });
  readonly #inflight = { readOnly: 0, mutating: 0 };
  readonly #sources: (() => readonly Family[])[] = [];

  /** @param isServed whether there is what a request asks for. */
  constructor(gate: RequestGate, isServed: (info: RequestInfo) => boolean) {
    this.#gate = gate;
    this.#series = new SeriesTable(isServed);
  }

  /** Further families, of parts that keep their own numbers. */
  add(source: () => readonly Family[]): void {
    this.#sources.push(source);
  }

  /** Notes that a request has begun; call what it gives when it is answered, for a read with the size of the answer.
   *  @param contentType of the request's body */
  begin(info: RequestInfo, contentType?: string): (code: number, size_bytes?: number) => void {
    const series = this.#series.of(info, contentType);
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
    return (code, size_bytes) => {
      series.answered(code);
      this.#inflight[kind] -= 1;
      series.took((performance.now() - began_ms) / 1000);
      if (size_bytes !== undefined && isReading(info)) series.sent(size_bytes);
    };
  }

  /** Notes how long a body was that a client sent to a resource. */
  bodyArrived({ isResourceRequest, group, resource, verb }: RequestInfo, size_bytes: number): void {
    if (isResourceRequest) this.#bodies.observe(size_bytes, [group, resource, verb]);
  }

  /** undefined: another path. */
  handle({ info, method, headers }: RequestContext): ApiResponse | undefined {
    if (info.path !== "/metrics") return undefined;
    if (method === "DELETE") return this.#reset();
    return metricsResponse(headers["accept"], this.read());
  }

  #reset(): ApiResponse {
    this.#series.reset();
    return metricsReset();
  }

  /** All of them, as Prometheus reads them. */
  read(): string {
    return renderPrometheus([
      ...this.#requestFamilies(),
      ...this.access.families(),
      ...this.admission.families(),
      ...admissionStepFamilies(),
      podSecurityEvaluations.family(),
      podSecurityExemptions.family(),
      ...policyFamilies(),
      ...conditionFamilies(),
      this.#bodies.family(),
      this.handshakeErrors.family(),
      ...auditFamilies(),
      ...tokenFamilies(),
      ...authenticationReloads.families(),
      ...authorizationReloads.families(),
      deprecatedUses(),
      ...ruleFamilies(),
      authorizationDecisions.family(),
      ...authorizationWebhookFamilies(),
      clientCertificateExpirations.family(),
      watchEvents.family(),
      watchEventSizes.family(),
      ...webhookFamilies(),
      ...this.#gateFamilies(),
      ...this.#sources.flatMap((source) => source()),
      ...processFamilies(),
    ]);
  }

  #requestFamilies(): Family[] {
    const of = (type: Family["type"], name: string, help: string, samplesOf: (series: Series) => Sample[]): Family => ({
      name,
      type,
      help,
      samples: [...this.#series].flatMap(samplesOf),
    });
    const durations =
      (bounds: readonly number[], more: Sample["labels"]) =>
      (series: Series): Sample[] =>
        series.durations?.samples({ ...series.labels, ...more }, bounds) ?? [];
    // Whether it was a dry run is not told apart.
    const dry_run = "";
    return [
      of("counter", "apiserver_request_total", "Requests by verb, resource and answer.", ({ labels, codes }) =>
        [...codes].map(([code, value]) => ({ labels: { ...labels, dry_run, code: String(code) }, value })),
      ),
      of(
        "counter",
        "apiserver_request_terminations_total",
        "Requests that were refused or given up before they were served.",
        ({ labels, codes }) =>
          [...codes]
            .filter(([code]) => terminations.has(code))
            .map(([code, value]) => ({ labels: { ...labels, code: String(code) }, value })),
      ),
      of(
        "histogram",
        "apiserver_request_duration_seconds",
        "How long requests took, watches and connections left out.",
        durations(latencyBuckets_s, { dry_run }),
      ),
      of(
        "histogram",
        "apiserver_request_sli_duration_seconds",
        "The same, for objectives of a service level.",
        durations(sliBuckets_s, {}),
      ),
      of(
        "histogram",
        "apiserver_response_sizes",
        "Bytes of answers to get and list, as they were sent.",
        (series) => series.sizes?.samples(series.labels) ?? [],
      ),
      of("gauge", "apiserver_longrunning_requests", "Watches and connections that are open.", (series) =>
        series.longRunning > 0 ? [{ labels: series.labels, value: series.longRunning }] : [],
      ),
      {
        name: "apiserver_current_inflight_requests",
        type: "gauge",
        help: "Requests that are being answered.",
        samples: Object.entries(this.#inflight).map(([request_kind, value]) => ({ labels: { request_kind }, value })),
      },
    ];
  }

  #gateFamilies(): Family[] {
    const levels = [...this.#gate.levels];
    const gauges = Object.entries(levelGauges).map(
      ([name, { help, of }]): Family => ({
        name,
        type: "gauge",
        help,
        samples: levels.map((level) => ({ labels: { priority_level: level.name }, value: of(level) })),
      }),
    );
    return [...gauges, ...this.#gate.counts.families()];
  }
}

const connecting = ["exec", "attach", "portforward", "log", "proxy"];

/** Requests that last as long as the client likes. */
export function isLongRunning({ verb, subresource, isResourceRequest, path }: RequestInfo): boolean {
  // Upstream's profiles, which take as long as they are told to.
  if (!isResourceRequest && path.startsWith("/debug/pprof/")) return true;
  return verb === "watch" || verb === "proxy" || (subresource !== undefined && connecting.includes(subresource));
}

const isReading = ({ verb }: RequestInfo): boolean =>
  verb === "get" || verb === "list" || verb === "watch" || verb === "head";
