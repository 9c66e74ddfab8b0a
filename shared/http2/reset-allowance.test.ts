import { expect, test } from "bun:test";
import { ResetAllowance } from "./reset-allowance.ts";

test("so many requests may be given up at once, and some more each second", () => {
  let now_ms = 5_000;
  const allowance = new ResetAllowance(() => now_ms);
  const takenOf = (count: number): number => Array.from({ length: count }, () => allowance.take()).indexOf(false);
  expect(takenOf(1_000)).toBe(-1);
  now_ms += 1_000;
  expect(takenOf(201)).toBe(200);
});

test("what was not given up for long is no allowance for later", () => {
  let now_ms = 0;
  const allowance = new ResetAllowance(() => now_ms);
  expect(allowance.take()).toBe(true);
  now_ms += 3_600_000;
  expect(Array.from({ length: 1_001 }, () => allowance.take()).indexOf(false)).toBe(1_000);
});
