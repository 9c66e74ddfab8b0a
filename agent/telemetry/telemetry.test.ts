import { expect, test } from "bun:test";
import { parseMeminfo, readBoard } from "./board.ts";
import { type Headroom, PressureGauge, pressuresOf } from "./pressure.ts";
import { parseThrottled } from "./sensors.ts";

const roomy: Headroom = {
  memoryAvailable_bytes: 1024 ** 3,
  disk: { available: 0.5, inodesFree: 0.5 },
  imageDisk: { available: 0.5, inodesFree: 0.5 },
  pidsFree: 30_000,
  pidsMax: 32_768,
};

test("the board tells what it is", async () => {
  const board = await readBoard();
  expect(board.cpus).toBeGreaterThan(0);
  expect(board.memory_bytes).toBeGreaterThan(1024 ** 2);
  expect(board.bootId).not.toBe("");
});

test("meminfo is in bytes", () => {
  const values = parseMeminfo("MemTotal:        2048 kB\nHugePages_Total:       3\n");
  expect([...values]).toEqual([
    ["MemTotal", 2048 * 1024],
    ["HugePages_Total", 3],
  ]);
});

test("pressures by upstream's thresholds", () => {
  expect(pressuresOf(roomy)).toEqual({ memory: false, disk: false, pids: false });
  expect(pressuresOf({ ...roomy, memoryAvailable_bytes: 99 * 1024 ** 2 }).memory).toBe(true);
  expect(pressuresOf({ ...roomy, disk: { available: 0.09, inodesFree: 0.5 } }).disk).toBe(true);
  expect(pressuresOf({ ...roomy, disk: { available: 0.5, inodesFree: 0.04 } }).disk).toBe(true);
  expect(pressuresOf({ ...roomy, imageDisk: { available: 0.14, inodesFree: 0.5 } }).disk).toBe(true);
  expect(pressuresOf({ ...roomy, pidsFree: 100 }).pids).toBe(true);
});

test("a pressure is raised at once and lifted late", () => {
  const gauge = new PressureGauge();
  const none = { memory: false, disk: false, pids: false };
  expect(gauge.update(none, 0).memory).toBe(false);
  expect(gauge.update({ ...none, memory: true }, 1_000).memory).toBe(true);
  expect(gauge.update(none, 200_000).memory).toBe(true);
  expect(gauge.update(none, 301_000).memory).toBe(false);
});

test("what a Pi's firmware says of its supply", () => {
  expect(parseThrottled("throttled=0x50005\n")).toEqual({
    undervoltage: true,
    throttled: true,
    undervoltageSeen: true,
  });
  expect(parseThrottled("throttled=0x0\n")).toEqual({ undervoltage: false, throttled: false, undervoltageSeen: false });
  expect(parseThrottled("VCHI initialization failed")).toBeUndefined();
});
