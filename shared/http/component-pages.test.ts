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

test("each page of health asks its own checks, and one without any says that the component answers", async () => {
  const notYet = () => Promise.reject(new Error("handlers are not fully synchronized"));
  const well = () => Promise.resolve();
  const pages: ComponentPages = {
    checks: {
      healthz: () => ({ leaderElection: well }),
      readyz: () => ({ leaderElection: well, "handler-sync": notYet }),
    },
    results: new HealthResults(),
  };
  const server = createServer((request, response) => void servePage(pages, request, response));
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const textOf = async (path: string): Promise<string> => (await fetch(`http://127.0.0.1:${port}${path}`)).text();
  expect(await textOf("/healthz?verbose")).toBe("[+]leaderElection ok\nhealthz check passed\n");
  expect(await textOf("/livez?verbose")).toBe("[+]ping ok\nlivez check passed\n");
  expect(await textOf("/readyz?verbose")).toBe(
    "[+]leaderElection ok\n[-]handler-sync failed: reason withheld\nreadyz check failed\n",
  );
  const codeOf = async (path: string): Promise<number> => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
  const paths = ["/readyz/handler-sync", "/readyz/ping", "/livez/ping", "/livez/handler-sync", "/healthz/"];
  expect(await Promise.all(paths.map(codeOf))).toEqual([500, 404, 200, 404, 404]);
  server.close();
});
