import { expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gaugeFamily } from "#shared/metrics/process-families.ts";
import { type ComponentPages, servePage } from "./component-pages.ts";
import { HealthResults } from "./health-results.ts";

test("metrics that are kept apart have a page of their own, in Prometheus' format", async () => {
  const family = (name: string) => gaugeFamily(name, "What it is.", [{ labels: {}, value: 1 }]);
  const pages: ComponentPages = {
    checks: {},
    results: new HealthResults(),
    families: () => [family("usual")],
    moreMetrics: { "/metrics/resources": () => [family("apart")] },
  };
  const server = createServer((request, response) => void servePage(pages, request, response));
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const ask = async (path: string): Promise<[number, string | null, string]> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return [answer.status, answer.headers.get("content-type"), await answer.text()];
  };
  const type = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
  const text = (name: string): string => `# HELP ${name} What it is.\n# TYPE ${name} gauge\n${name} 1\n`;
  expect(await ask("/metrics")).toEqual([200, type, text("usual")]);
  expect(await ask("/metrics/resources")).toEqual([200, type, text("apart")]);
  expect((await ask("/metrics/others"))[0]).toBe(404);
  server.close();
});

test("a component that cannot work yet is alive, and not ready", async () => {
  const notYet = () => Promise.reject(new Error("handlers are not fully synchronized"));
  const pages: ComponentPages = { checks: {}, readiness: { "handler-sync": notYet }, results: new HealthResults() };
  const server = createServer((request, response) => void servePage(pages, request, response));
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const codeOf = async (path: string): Promise<number> => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
  const paths = ["/healthz", "/livez", "/readyz", "/readyz/handler-sync", "/readyz/ping", "/livez/handler-sync"];
  expect(await Promise.all(paths.map(codeOf))).toEqual([200, 200, 500, 500, 200, 404]);
  server.close();
});
