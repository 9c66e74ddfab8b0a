import type { IncomingMessage, ServerResponse } from "node:http";
import { badRequest } from "#shared/api/errors.ts";
import { prometheusContentType } from "#shared/metrics/exposition-format.ts";
import { type Family, renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { type HealthCheck, healthPage } from "./health-page.ts";
import { type HealthResults, healthResultsPath } from "./health-results.ts";

export interface Page {
  readonly code: number;
  readonly contentType: string;
  readonly body: string;
}

/** What a component that runs by itself shows of itself, at upstream's paths. */
export interface ComponentPages {
  readonly checks: Readonly<Record<string, HealthCheck>>;
  /** What the checks came to; /metrics/slis shows it where there are metrics. */
  readonly results: HealthResults;
  /** What /metrics shows; no such page when absent. */
  readonly families?: (() => readonly Family[]) | undefined;
  /** What /configz shows: the component's configuration, by the name that upstream registers it under. */
  readonly configuration?: (() => Readonly<Record<string, unknown>>) | undefined;
  /** Further pages by path; they win over the usual ones. */
  readonly more?: Readonly<Record<string, () => Page>> | undefined;
}

const plain = "text/plain; charset=utf-8";
const json = "application/json";
const healthRoots = new Set(["healthz", "livez", "readyz"]);

export const jsonPage = (code: number, value: unknown): Page => ({
  code,
  contentType: json,
  body: JSON.stringify(value),
});
export const textPage = (code: number, body: string): Page => ({ code, contentType: plain, body });

/** The page at a path; 404 where there is none. */
async function componentPage(pages: ComponentPages, url: URL, accept: string | undefined): Promise<Page> {
  const { pathname, searchParams } = url;
  const special = pages.more?.[pathname];
  if (special) return special();
  const [root = "", only, ...rest] = pathname.split("/").filter((part) => part !== "");
  if (healthRoots.has(root) && rest.length === 0) {
    const excluded = new Set(searchParams.getAll("exclude"));
    const checks = { ping: () => Promise.resolve(), ...pages.checks };
    const asked = { only, excluded, verbose: searchParams.has("verbose") };
    const { code, body } = await healthPage(root, checks, asked, pages.results);
    return textPage(code, body);
  }
  if (pathname === "/metrics" && pages.families) return metricsPage(pages.families(), accept);
  if (pathname === healthResultsPath && pages.families) return metricsPage(pages.results.families(), accept);
  if (pathname === "/configz" && pages.configuration) return jsonPage(200, pages.configuration());
  return textPage(404, "404 page not found\n");
}

const metricsPage = (families: readonly Family[], accept: string | undefined): Page => ({
  code: 200,
  contentType: prometheusContentType(accept),
  body: renderPrometheus(families),
});

/** Where a request leads. Throws BadRequest for what is no address. */
export function pageUrl({ url = "/" }: IncomingMessage): URL {
  if (!URL.canParse(url, base)) throw badRequest("invalid URL");
  return new URL(url, base);
}

const base = "http://component";

/** Answers a request with the page of its path. Nothing here can be changed, so other methods are refused. */
export async function servePage(
  pages: ComponentPages,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL = pageUrl(request),
): Promise<void> {
  const reads = request.method === "GET" || request.method === "HEAD";
  const page = reads ? await componentPage(pages, url, request.headers.accept) : textPage(405, "Method not allowed\n");
  response.writeHead(page.code, {
    "content-type": page.contentType,
    "cache-control": "no-cache, private",
    "x-content-type-options": "nosniff",
  });
  response.end(request.method === "HEAD" ? undefined : page.body);
}
