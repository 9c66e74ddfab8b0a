/** /healthz, /livez and /readyz, whole or check by check, in the text that probes and people know. */
import type { ApiResponse, RequestContext } from "../request.ts";

export type HealthCheck = () => Promise<unknown>;

const roots = ["healthz", "livez", "readyz"] as const;
type Root = (typeof roots)[number];

const isRoot = (name: string): name is Root => (roots as readonly string[]).includes(name);

export class HealthChecks {
  readonly #checks: Readonly<Record<string, HealthCheck>>;
  /** False before the start is done and once a stop has begun: traffic should go elsewhere, the process is alive. */
  ready = false;

  constructor(checks: Readonly<Record<string, HealthCheck>>) {
    this.#checks = { ping: async () => undefined, log: async () => undefined, ...checks };
  }

  /** undefined: no path of these. */
  handle({ info, query }: RequestContext): Promise<ApiResponse> | undefined {
    const [root = "", name, ...more] = info.path.split("/").filter((part) => part !== "");
    if (!isRoot(root) || more.length > 0) return undefined;
    const excluded = new Set(query.getAll("exclude"));
    return this.#answer(root, name, excluded, query.has("verbose"));
  }

  async #answer(root: Root, only: string | undefined, excluded: Set<string>, verbose: boolean): Promise<ApiResponse> {
    const checks = this.#checksOf(root);
    if (only !== undefined && !(only in checks)) return text(404, "404 page not found\n");
    const names = Object.keys(checks).filter((name) => (only === undefined || name === only) && !excluded.has(name));
    const lines: string[] = [];
    let failed = false;
    for (const name of names) {
      try {
        await checks[name]?.();
        lines.push(`[+]${name} ok`);
      } catch {
        failed = true;
        lines.push(`[-]${name} failed: reason withheld`);
      }
    }
    const subject = only ?? root;
    if (failed) return text(500, `${lines.join("\n")}\n${subject} check failed\n`);
    return text(200, verbose ? `${lines.join("\n")}\n${subject} check passed\n` : "ok");
  }

  #checksOf(root: Root): Record<string, HealthCheck> {
    if (root !== "readyz") return { ...this.#checks };
    const started = async (): Promise<void> => {
      if (!this.ready) throw new Error("starting or stopping");
    };
    return { ...this.#checks, "informer-sync": started, shutdown: started };
  }
}

const text = (code: number, body: string): ApiResponse => ({
  kind: "bytes",
  code,
  contentType: "text/plain; charset=utf-8",
  headers: { "cache-control": "no-cache, private", "x-content-type-options": "nosniff" },
  body,
});
