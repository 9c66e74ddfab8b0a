import { afterEach, expect, test } from "bun:test";
import { boundCaches, cacheBounds } from "./cache-bounds.ts";

afterEach(() => void boundCaches("off"));
const board_bytes = (size_MB: number): number => size_MB * 1024 * 1024;

test("a board of 512 MB trims its caches by itself, a larger one when it is asked to", () => {
  expect(boundCaches("auto", board_bytes(921))).toBe(false);
  const usual = cacheBounds();
  expect(boundCaches("auto", board_bytes(462))).toBe(true);
  const low = cacheBounds();
  for (const name of Object.keys(usual) as (keyof typeof usual)[]) expect(low[name]).toBeLessThan(usual[name]);
  expect(boundCaches("off", board_bytes(462))).toBe(false);
  expect(cacheBounds()).toEqual(usual);
  expect(boundCaches("on", board_bytes(8000))).toBe(true);
  expect(cacheBounds()).toEqual(low);
});
