/** /healthz, /livez and /readyz, whole or check by check, in the text that probes and people know. */
import { type HealthCheck, healthPage } from "#shared/http/health-page.ts";
import { HealthResults, healthResultsPath } from "#shared/http/health-results.ts";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import type { ApiResponse, RequestContext } from "../request.ts";
import { metricsReset, metricsResponse } from "./metrics-response.ts";

const roots = ["healthz", "livez", "readyz"] as const;
type Root = (typeof roots)[number];

const isRoot = (name: string): name is Root => (roots as readonly string[]).includes(name);

export class HealthChecks {
  readonly #checks: Readonly<Record<string, HealthCheck>>;
  readonly #outside: Readonly<Record<string, HealthCheck>>;
  readonly #results = new HealthResults();
  /** False before the start is done and once a stop has begun: traffic should go elsewhere, the process is alive. */
  ready = false;

  /** @param outside checks of what is not this process: to start it anew would mend nothing, so /livez is without them. */
  constructor(checks: Readonly<Record<string, HealthCheck>>, outside: Readonly<Record<string, HealthCheck>> = {}) {
    this.#outside = outside;
    this.#checks = { ping: async () => undefined, log: async () => undefined, ...checks };
  }

  /** undefined: no path of these. */
  handle({ info, method, query, headers }: RequestContext): Promise<ApiResponse> | ApiResponse | undefined {
    if (info.path === healthResultsPath) {
      if (method === "DELETE") return metricsReset();
      return metricsResponse(headers["accept"], renderPrometheus(this.#results.families()));
    }
    const [root = "", name, ...more] = info.path.slice(1).split("/");
    if (!isRoot(root) || more.length > 0) return undefined;
    const excluded = new Set(query.getAll("exclude"));
    return this.#answer(root, name, excluded, query.has("verbose"));
  }

  async #answer(root: Root, only: string | undefined, excluded: Set<string>, verbose: boolean): Promise<ApiResponse> {
    const { code, body } = await healthPage(root, this.#checksOf(root), { only, excluded, verbose }, this.#results);
    return text(code, body, only !== undefined && code === OK);
  }

  /** Of each page and of each check of it. */
  paths(): string[] {
    const pages = roots.flatMap((root) => [
      `/${root}`,
      ...Object.keys(this.#checksOf(root)).map((name) => `/${root}/${name}`),
    ]);
    return [...pages, healthResultsPath];
  }

  #checksOf(root: Root): Record<string, HealthCheck> {
    if (root === "livez") return { ...this.#checks };
    const checks = { ...this.#checks, ...this.#outside };
    if (root === "healthz") return checks;
    const started = async (): Promise<void> => {
      if (!this.ready) throw new Error("starting or stopping");
    };
    const { etcd } = checks;
    // Upstream's differ in how long they wait alone.
    return { ...checks, ...(etcd && { "etcd-readiness": etcd }), "informer-sync": started, shutdown: started };
  }
}

const OK = 200;

/** A check that passes is told of as whatever a browser takes it for, as upstream's pages of single checks are written. */
const text = (code: number, body: string, isSniffed: boolean): ApiResponse => ({
  kind: "bytes",
  code,
  contentType: "text/plain; charset=utf-8",
  headers: { "cache-control": "no-cache, private", ...(isSniffed ? {} : { "x-content-type-options": "nosniff" }) },
  body,
});
