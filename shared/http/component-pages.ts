import type { IncomingMessage, ServerResponse } from "node:http";
import { badRequest } from "#shared/api/errors.ts";
import { prometheusContentType } from "#shared/metrics/exposition-format.ts";
import { startTimeHeader } from "#shared/metrics/process-families.ts";
import { type Family, renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { metricsResetText, resetTables } from "#shared/metrics/tables.ts";
import { type HealthCheck, healthPage } from "./health-page.ts";
import { type HealthResults, healthResultsPath } from "./health-results.ts";

export interface Page {
  readonly code: number;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What a component that runs by itself shows of itself, at upstream's paths. */
export interface ComponentPages {
  /** What each page of health asks; a page without any says that the component answers. */
  readonly checks: Partial<Readonly<Record<HealthRoot, () => Readonly<Record<string, HealthCheck>>>>>;
  /** What the checks came to; /metrics/slis shows it where there are metrics. */
  readonly results: HealthResults;
  /** What /metrics shows; no such page when absent. */
  readonly families?: (() => readonly Family[]) | undefined;
  /** Metrics apart from those, by path. */
  readonly moreMetrics?: Readonly<Record<string, () => readonly Family[]>> | undefined;
  /** Whether a DELETE of the metrics begins them anew: only where it is known who asks. */
  readonly resetsMetrics?: boolean;
  /** What /configz shows: the component's configuration, by the name that upstream registers it under. */
  readonly configuration?: (() => Readonly<Record<string, unknown>>) | undefined;
  /** Further pages by path; they win over the usual ones. */
  readonly more?: Readonly<Record<string, () => Page>> | undefined;
}

const plain = "text/plain; charset=utf-8";
const json = "application/json";
const healthRoots = ["healthz", "livez", "readyz"] as const;
export type HealthRoot = (typeof healthRoots)[number];
const isHealthRoot = (name: string): name is HealthRoot => (healthRoots as readonly string[]).includes(name);

export const jsonPage = (code: number, value: unknown): Page => ({
  code,
  contentType: json,
  body: JSON.stringify(value),
});
export const textPage = (code: number, body: string): Page => ({ code, contentType: plain, body });

/** The page at a path; 404 where there is none. */
async function componentPage(
  pages: ComponentPages,
  { pathname, searchParams }: URL,
  { method, headers: { accept } }: IncomingMessage,
): Promise<Page> {
  const special = pages.more?.[pathname];
  if (special) return special();
  const [root = "", only, ...rest] = pathname.slice(1).split("/");
  if (isHealthRoot(root) && rest.length === 0 && only !== "") {
    const excluded = new Set(searchParams.getAll("exclude"));
    const asked = { only, excluded, verbose: searchParams.has("verbose") };
    const { code, body } = await healthPage(root, pages.checks[root]?.() ?? ping, asked, pages.results);
    return textPage(code, body);
  }
  if (pages.families && (pathname === "/metrics" || pathname === healthResultsPath)) {
    if (pages.resetsMetrics && method === "DELETE") return metricsReset();
    return metricsPage(pathname === "/metrics" ? pages.families() : pages.results.families(), accept);
  }
  const apart = pages.moreMetrics?.[pathname];
  if (apart) return metricsPage(apart(), accept);
  if (pathname === "/configz" && pages.configuration) return jsonPage(200, pages.configuration());
  return textPage(404, "404 page not found\n");
}

const ping: Readonly<Record<string, HealthCheck>> = { ping: () => Promise.resolve() };

const metricsPage = (families: readonly Family[], accept: string | undefined): Page => ({
  code: 200,
  contentType: prometheusContentType(accept),
  headers: startTimeHeader,
  body: renderPrometheus(families),
});

function metricsReset(): Page {
  resetTables();
  return textPage(200, metricsResetText);
}

/** Where a request leads. Throws BadRequest for what is no address. */
export function pageUrl({ url = "/" }: IncomingMessage): URL {
  if (!URL.canParse(url, base)) throw badRequest("invalid URL");
  return new URL(url, base);
}

const base = "http://component";

/** Answers a request with the page of its path, whatever the method: a DELETE alone, of metrics, is something else. */
export async function servePage(
  pages: ComponentPages,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL = pageUrl(request),
): Promise<void> {
  const page = await componentPage(pages, url, request);
  response.writeHead(page.code, {
    "content-type": page.contentType,
    ...page.headers,
    "cache-control": "no-cache, private",
    "x-content-type-options": "nosniff",
  });
  response.end(request.method === "HEAD" ? undefined : page.body);
}
