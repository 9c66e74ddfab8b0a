import { expect, test } from "bun:test";
import { isWorthCollecting } from "./quiet-collection.ts";

const MiB = 1024 * 1024;
const quiet = { cpu_ms: 300, elapsed_ms: 30_000 };

test("collects once what the start has left", () => {
  expect(isWorthCollecting({ ...quiet, rss_bytes: 120 * MiB, settled_bytes: undefined })).toBe(true);
  expect(isWorthCollecting({ ...quiet, rss_bytes: 101 * MiB, settled_bytes: 100 * MiB })).toBe(false);
});

test("collects after a burst, when it is over", () => {
  const grown = { rss_bytes: 190 * MiB, settled_bytes: 100 * MiB };
  expect(isWorthCollecting({ cpu_ms: 20_000, elapsed_ms: 30_000, ...grown })).toBe(false);
  expect(isWorthCollecting({ ...quiet, ...grown })).toBe(true);
});
