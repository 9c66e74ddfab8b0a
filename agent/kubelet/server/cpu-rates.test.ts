import { expect, test } from "bun:test";
import { CpuRates } from "./cpu-rates.ts";

const at = (at_ms: number, cpu_ns: number) => new Map([["web", { at_ms, cpu_ns }]]);

test("the rate is the mean since the last question, and stays while questions come quickly", () => {
  const rates = new CpuRates();
  expect(rates.update(at(0, 0)).get("web")).toBeUndefined();
  expect(rates.update(at(10_000, 5e9)).get("web")).toBe(500_000_000);
  expect(rates.update(at(10_500, 9e9)).get("web")).toBe(500_000_000);
  expect(rates.update(at(20_000, 5e9)).get("web")).toBe(0);
});

test("a counter that began anew, or an old question, gives no rate", () => {
  const rates = new CpuRates();
  rates.update(at(0, 9e9));
  expect(rates.update(at(10_000, 1e9)).get("web")).toBeUndefined();
  expect(rates.update(at(20_000, 2e9)).get("web")).toBe(100_000_000);
  expect(rates.update(at(1_000_000, 3e9)).get("web")).toBeUndefined();
});
