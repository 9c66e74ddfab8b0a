import { expect, test } from "bun:test";
import { BackOff } from "./back-off.ts";
import { backOffKey } from "./container-identity.ts";

const hour_ms = 3_600_000;

test("the first retry is free, the next ones wait longer each time, up to the longest", () => {
  const backOff = new BackOff(10, 35);
  expect(backOff.waitUntil("k", 1000, 1000)).toBeUndefined();
  for (const delay_ms of [10, 20, 35, 35]) {
    backOff.next("k", 1000, 1000);
    expect(backOff.waitUntil("k", 1000, 1001)).toBe(1000 + delay_ms);
    expect(backOff.waitUntil("k", 1000, 1000 + delay_ms)).toBeUndefined();
  }
  expect(backOff.waitUntil("k", 1071, 1072)).toBeUndefined();
});

test("a clock that is put back makes nobody wait longer than the delay", () => {
  const backOff = new BackOff();
  const failed_ms = 10 * hour_ms;
  backOff.next("k", failed_ms, failed_ms);
  const now_ms = failed_ms - hour_ms;
  expect(backOff.waitUntil("k", failed_ms, now_ms)).toBe(now_ms + 10_000);
  expect(backOff.waitUntil("k", failed_ms, now_ms + 9_999)).toBe(now_ms + 10_000);
  expect(backOff.waitUntil("k", failed_ms, now_ms + 10_000)).toBeUndefined();
  // Once more, and further.
  expect(backOff.waitUntil("k", failed_ms, now_ms - hour_ms)).toBe(now_ms - hour_ms + 10_000);
});

test("a container that is given another image or other resources does not wait for what the former failed at", () => {
  const container = { name: "c", image: "web:1", resources: { limits: { memory: "64Mi" } } };
  const same = backOffKey("u", { ...container, env: [{ name: "A", value: "1" }] });
  expect(same).toBe(backOffKey("u", container));
  expect(same).toStartWith("u_");
  for (const change of [{ name: "d" }, { image: "web:2" }, { resources: {} }])
    expect(backOffKey("u", { ...container, ...change })).not.toBe(same);
});
