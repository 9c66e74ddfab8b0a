import { expect, test } from "bun:test";
import { readUsageCounters, UsageHistory } from "./usage-history.ts";

const look_ms = 20_000;
const wall_ms = 1_700_000_000_000;

/** A board that uses half a core, and gets a degree warmer with every look. */
function looked(history: UsageHistory, looks: number): number {
  for (let look = 0; look < looks; look += 1)
    history.record(
      look * look_ms,
      { cpu_s: look * 10, received_bytes: look * 2_000_000, sent_bytes: 0 },
      { memoryUsed_bytes: 2 ** 30, temperature_celsius: look },
    );
  return (looks - 1) * look_ms;
}

test("the last quarter of an hour is fine, hours before it are means of five minutes, and no more is kept", () => {
  const history = new UsageHistory(12);
  const now_ms = looked(history, 1_000);
  const samples = history.samples(now_ms, wall_ms);
  const fine = samples.slice(-45);
  expect(fine[0]).toEqual({
    at_ms: wall_ms - 44 * look_ms,
    cpu_cores: 0.5,
    received_bytesPerS: 100_000,
    sent_bytesPerS: 0,
    memoryUsed_bytes: 2 ** 30,
    temperature_celsius: 955,
  });
  expect(fine.at(-1)?.at_ms).toBe(wall_ms);
  const means = samples.slice(0, -45);
  expect(means.length).toBeGreaterThanOrEqual(9);
  expect(means.length).toBeLessThanOrEqual(12);
  const steps = means.slice(1).map(({ at_ms }, index) => at_ms - (means[index]?.at_ms ?? 0));
  expect(new Set(steps)).toEqual(new Set([300_000]));
  expect((means[1]?.temperature_celsius ?? 0) - (means[0]?.temperature_celsius ?? 0)).toBe(15);
  expect((means.at(-1)?.at_ms ?? 0) < (fine[0]?.at_ms ?? 0)).toBe(true);
});

test("without room for means there are none", () => {
  const history = new UsageHistory(0);
  expect(history.samples(looked(history, 1_000), wall_ms)).toHaveLength(45);
});

test("times follow a clock that has been set since", () => {
  const history = new UsageHistory(0);
  const now_ms = looked(history, 3);
  expect(history.samples(now_ms + 5_000, 90_000).map(({ at_ms }) => at_ms)).toEqual([65_000, 85_000]);
});

test("a count that went back gives no rate, and what is not measured is left out", () => {
  const history = new UsageHistory(0);
  history.record(0, { cpu_s: 5, received_bytes: 100, sent_bytes: 100 }, {});
  history.record(look_ms, { cpu_s: 6, received_bytes: 50, sent_bytes: 100 }, {});
  expect(history.samples(look_ms, wall_ms)).toEqual([
    { at_ms: wall_ms, cpu_cores: Math.fround(0.05), sent_bytesPerS: 0 },
  ]);
});

test("looks that are prompted in between are not due", () => {
  const history = new UsageHistory(0);
  expect(history.isDue(0)).toBe(true);
  looked(history, 2);
  expect([history.isDue(look_ms + 1_000), history.isDue(2 * look_ms)]).toEqual([false, true]);
});

test("the kernel counts", async () => {
  const { cpu_s, received_bytes, sent_bytes } = await readUsageCounters();
  expect(cpu_s).toBeGreaterThan(0);
  expect([Number.isSafeInteger(received_bytes), Number.isSafeInteger(sent_bytes)]).toEqual([true, true]);
});
