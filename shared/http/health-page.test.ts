import { expect, test } from "bun:test";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { healthPage } from "./health-page.ts";
import { HealthResults } from "./health-results.ts";

const checks = { well: async () => undefined, ill: () => Promise.reject(new Error("out of order")) };
const asked = { excluded: new Set<string>(), verbose: false };
const whole = (query: Partial<Parameters<typeof healthPage>[2]>, results = new HealthResults()) =>
  healthPage("healthz", checks, { ...asked, ...query }, results);

test("one check alone says how it is, and what is none is not found", async () => {
  const one = (only: string) => whole({ only });
  expect(await one("well")).toEqual({ code: 200, body: "ok" });
  expect(await one("ill")).toEqual({ code: 500, body: "internal server error: out of order\n" });
  for (const none of ["other", "toString", "constructor", "__proto__"]) expect((await one(none)).code).toBe(404);
});

test("the whole page keeps why a check failed to itself", async () => {
  expect(await whole({})).toEqual({
    code: 500,
    body: "[+]well ok\n[-]ill failed: reason withheld\nhealthz check failed\n",
  });
  expect(await whole({ excluded: new Set(["ill"]) })).toEqual({ code: 200, body: "ok" });
});

test("what is left out is told of, and what could not be", async () => {
  const warning = 'warn: some health checks cannot be excluded: no matches for "a","b"\n';
  expect(await whole({ excluded: new Set(["ill", "b", "a"]), verbose: true })).toEqual({
    code: 200,
    body: `[+]well ok\n[+]ill excluded: ok\n${warning}healthz check passed\n`,
  });
});

test("results of whole pages are counted, each check by the page that asked", async () => {
  const results = new HealthResults();
  await whole({}, results);
  await whole({ excluded: new Set(["ill"]) }, results);
  await whole({ only: "well" }, results);
  await healthPage("readyz", { ill: checks.well }, asked, results);
  const lines = renderPrometheus(results.families()).split("\n");
  expect(lines.filter((line) => line.startsWith("kubernetes"))).toEqual([
    'kubernetes_healthcheck{name="well",type="healthz"} 1',
    'kubernetes_healthcheck{name="ill",type="healthz"} 0',
    'kubernetes_healthcheck{name="ill",type="readyz"} 1',
    'kubernetes_healthchecks_total{name="well",type="healthz",status="success"} 2',
    'kubernetes_healthchecks_total{name="ill",type="healthz",status="error"} 1',
    'kubernetes_healthchecks_total{name="ill",type="readyz",status="success"} 1',
  ]);
  expect(lines.some((line) => line.startsWith("process_start_time_seconds "))).toBe(true);
});
