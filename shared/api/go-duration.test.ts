import { expect, test } from "bun:test";
import {
  formatGoDuration,
  formatGoDuration_ms,
  goDurationFault,
  parseGoDuration,
  parseGoDuration_ms,
} from "./go-duration.ts";

test("durations are read as Go reads them, to the nanosecond", () => {
  for (const [text, nanoseconds] of [
    ["0", 0n],
    ["1h2m3.5s", 3_723_500_000_000n],
    [".5s", 500_000_000n],
    ["-1.5µs", -1_500n],
    ["1.0000000001s", 1_000_000_000n],
    ["2562047h47m16.854775807s", 2n ** 63n - 1n],
  ] as const)
    expect(parseGoDuration(text)).toBe(nanoseconds);
  expect(parseGoDuration_ms("1m0.5s")).toBe(60_500);
});

test("what is no duration is told in Go's words", () => {
  for (const [text, fault] of [
    ["", 'time: invalid duration ""'],
    ["soon", 'time: invalid duration "soon"'],
    ["5", 'time: missing unit in duration "5"'],
    ["1h5", 'time: missing unit in duration "1h5"'],
    ["5d", 'time: unknown unit "d" in duration "5d"'],
    ["2562047h47m16.854775808s", 'time: invalid duration "2562047h47m16.854775808s"'],
  ] as const) {
    expect(parseGoDuration(text)).toBeUndefined();
    expect(goDurationFault(text)).toBe(fault);
  }
});

test("durations are written as Go writes them", () => {
  for (const text of ["0s", "1ns", "1.5µs", "20ms", "10s", "1m20s", "5m0s", "1h0m0.5s", "-1m30s"])
    expect(formatGoDuration(parseGoDuration(text) ?? 0n)).toBe(text);
  expect(formatGoDuration_ms(1_234.5678)).toBe("1.234568s");
});
