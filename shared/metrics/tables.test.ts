import { expect, test } from "bun:test";
import { CounterTable, HistogramTable, resetTables, Summary } from "./tables.ts";

test("beyond a thousand combinations of labels the rest is counted together", () => {
  const table = new CounterTable({ name: "seen", help: "What was seen.", labels: ["user", "verb"] });
  for (let user = 0; user < 1010; user += 1) table.add([String(user), "get"]);
  const { samples } = table.family();
  expect(samples.length).toBe(1001);
  expect(samples.find(({ labels }) => labels?.["user"] === "other")?.value).toBe(10);
  expect(samples.find(({ labels }) => labels?.["user"] === "7")?.value).toBe(1);
});

test("what can be one series alone is told from the start", () => {
  const options = { name: "seen", help: "What was seen.", labels: [] };
  expect(new CounterTable(options).family().samples).toEqual([{ labels: {}, value: 0 }]);
  expect(new HistogramTable(options, [1]).family().samples.map(({ value }) => value)).toEqual([0, 0, 0, 0]);
});

test("a summary tells below what most of the latest values were, to a fifth, and forgets them", () => {
  let now_ms = 0;
  const summary = new Summary(() => now_ms);
  expect(summary.quantile(0.5)).toBeNaN();
  for (let value = 1; value <= 1000; value += 1) summary.observe(value / 1000);
  for (const share of [0.5, 0.9, 0.99]) {
    expect(summary.quantile(share)).toBeGreaterThanOrEqual(share);
    expect(summary.quantile(share)).toBeLessThan(share * 1.2);
  }
  expect([summary.count, Math.round(summary.sum * 10) / 10]).toEqual([1000, 500.5]);
  now_ms = 3 * 3_600_000;
  summary.observe(0.001);
  expect(summary.quantile(0.5)).toBeGreaterThan(0.4);
  now_ms = 6 * 3_600_000;
  expect(summary.quantile(0.99)).toBeLessThan(0.0012);
  now_ms = 20 * 3_600_000;
  expect(summary.quantile(0.5)).toBeNaN();
  expect(summary.count).toBe(1001);
  // What no summary is kept for is in its outermost buckets.
  for (const value of [0, -1, 1e-9, 1e9]) summary.observe(value);
  expect(summary.quantile(0.5)).toBe(1e-6);
});

test("a reset begins all tables anew, and who counts in one goes on in it", () => {
  const options = { name: "seen", help: "What was seen.", labels: ["user"] };
  const counts = new CounterTable(options);
  const histograms = new HistogramTable(options, [1, 10]);
  const kept = counts.of(["a"]);
  kept.count += 3;
  histograms.observe(5, ["a"]);
  resetTables();
  kept.count += 1;
  histograms.observe(0.5, ["a"]);
  expect(counts.family().samples.map(({ value }) => value)).toEqual([1]);
  expect(histograms.family().samples.map(({ value }) => value)).toEqual([1, 1, 1, 0.5, 1]);
});
