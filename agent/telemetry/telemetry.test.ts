import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseMeminfo, readBoard } from "./board.ts";
import { parsePowerChip, parseThrottled, readSensors } from "./sensors.ts";
import { StrainGauge } from "./strain.ts";

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

test("what a Pi's firmware says of its supply", () => {
  expect(parseThrottled("throttled=0x50005\n")).toEqual({
    undervoltage: true,
    throttled: true,
    undervoltageSeen: true,
  });
  expect(parseThrottled("throttled=0x0\n")).toEqual({ undervoltage: false, throttled: false, undervoltageSeen: false });
  expect(parseThrottled("VCHI initialization failed")).toBeUndefined();
});

test("what a Pi 5's power chip says", () => {
  expect(parsePowerChip("     EXT5V_V volt(24)=5.13284000V\n")).toBe(5.13284);
  expect(parsePowerChip('error=1 error_msg="Command not registered"')).toBeUndefined();
});

test("the strains of a board are told at once and lifted late, and what nothing measures is not told", async () => {
  const gauge = new StrainGauge();
  const quiet = {
    temperatures: [{ name: "cpu", celsius: 60 }],
    undervoltage: false,
    throttled: undefined,
    undervoltageSeen: false,
    fan_rpm: undefined,
  };
  expect(gauge.update(quiet, 0)).toEqual({ Undervoltage: false, Throttled: undefined, Overheated: false });
  const bad = { ...quiet, undervoltage: true, temperatures: [{ name: "cpu", celsius: 81 }] };
  expect(gauge.update(bad, 1_000)).toMatchObject({ Undervoltage: true, Overheated: true });
  // Not cool yet.
  const warm = { ...quiet, temperatures: [{ name: "cpu", celsius: 76 }] };
  expect(gauge.update(warm, 290_000)).toMatchObject({ Undervoltage: true, Overheated: true });
  expect(gauge.update(quiet, 302_000)).toMatchObject({ Undervoltage: false, Overheated: true });
  expect(gauge.update(quiet, 600_000)).toMatchObject({ Overheated: false });
});

test("a Pi's sensors are read from sysfs, without a process", async () => {
  const sysfs = mkdtempSync(join(tmpdir(), "bramble-sysfs-"));
  const file = (path: string, content: string): void => {
    mkdirSync(dirname(join(sysfs, path)), { recursive: true });
    writeFileSync(join(sysfs, path), `${content}\n`);
  };
  file("class/thermal/thermal_zone0/type", "cpu-thermal");
  file("class/thermal/thermal_zone0/temp", "61322");
  file("class/hwmon/hwmon1/name", "rpi_volt");
  file("class/hwmon/hwmon1/in0_lcrit_alarm", "1");
  file("class/hwmon/hwmon2/name", "pwmfan");
  file("class/hwmon/hwmon2/fan1_input", "2950");
  file("devices/platform/soc/soc:firmware/get_throttled", "50004");
  expect(await readSensors(sysfs)).toEqual({
    temperatures: [{ name: "cpu-thermal", celsius: 61.322 }],
    undervoltage: true,
    throttled: true,
    undervoltageSeen: true,
    fan_rpm: 2950,
  });
  rmSync(sysfs, { recursive: true });
});
