/** /healthz, /livez and /readyz, whole or check by check, in the text that probes and people know. */
import { checkLog } from "#shared/client/log.ts";
import { type HealthCheck, healthPage } from "#shared/http/health-page.ts";
import { HealthResults, healthResultsPath } from "#shared/http/health-results.ts";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import type { ApiResponse, RequestContext } from "../request.ts";
import { metricsReset, metricsResponse } from "./metrics-response.ts";
import { StartSteps } from "./start-steps.ts";

const roots = ["healthz", "livez", "readyz"] as const;
type Root = (typeof roots)[number];

const isRoot = (name: string): name is Root => (roots as readonly string[]).includes(name);

export class HealthChecks {
  readonly #checks: Readonly<Record<string, HealthCheck>>;
  readonly #outside: Readonly<Record<string, HealthCheck>>;
  readonly #results = new HealthResults();
  /** What the start of this server is made of. */
  readonly steps = new StartSteps();
  /** Before the caches are loaded and once a stop has begun traffic should go elsewhere, though the process is alive. */
  state: "starting" | "serving" | "stopping" = "starting";

  /** @param outside checks of what is not this process: to start it anew would mend nothing, so /livez is without them. */
  constructor(checks: Readonly<Record<string, HealthCheck>>, outside: Readonly<Record<string, HealthCheck>> = {}) {
    this.#outside = outside;
    this.#checks = { ping: async () => undefined, log: checkLog, ...checks };
  }

  /** undefined: no path of these. */
  handle({ info, method, query, headers }: RequestContext): Promise<ApiResponse> | ApiResponse | undefined {
    if (info.path === healthResultsPath) {
      if (method === "DELETE") return metricsReset();
      return metricsResponse(headers["accept"], renderPrometheus(this.#results.families()));
    }
    const [root = "", ...parts] = info.path.slice(1).split("/");
    if (!isRoot(root)) return undefined;
    // Names have slashes.
    const name = parts.length > 0 ? parts.join("/") : undefined;
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
    const steps = this.steps.checks(root === "livez");
    if (root === "livez") return { ...this.#checks, ...steps };
    const checks = { ...this.#checks, ...this.#outside };
    if (root === "healthz") return { ...checks, ...steps };
    const { etcd } = checks;
    return {
      ...checks,
      // Upstream's differ in how long they wait alone.
      ...(etcd && { "etcd-readiness": etcd }),
      "informer-sync": () => this.#refuseWhile("starting", "the caches are not loaded yet"),
      ...steps,
      shutdown: () => this.#refuseWhile("stopping", "process is shutting down"),
    };
  }

  async #refuseWhile(state: HealthChecks["state"], reason: string): Promise<void> {
    if (this.state === state) throw new Error(reason);
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
