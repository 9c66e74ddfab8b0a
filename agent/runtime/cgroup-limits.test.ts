import { expect, test } from "bun:test";
import { cgroupSettings, parseCgroups } from "./cgroup-limits.ts";

const limits = { cpuShares: 1024, cpuQuota_us: 50_000, cpuPeriod_us: 100_000, memoryLimit_bytes: 2 ** 26 };
const written = (version: 1 | 2, given = limits) =>
  cgroupSettings(given, version).map(({ controller, file, value }) => `${controller}/${file}=${value}`);

test("limits on both versions of cgroups", () => {
  expect(written(1)).toEqual([
    "cpu/cpu.shares=1024",
    "cpu/cpu.cfs_period_us=100000",
    "cpu/cpu.cfs_quota_us=50000",
    "memory/memory.limit_in_bytes=67108864",
  ]);
  expect(written(2)).toEqual(["/cpu.weight=39", "/cpu.max=50000 100000", "/memory.max=67108864"]);
  expect(written(2, { ...limits, cpuQuota_us: 0, memoryLimit_bytes: 0 })).toEqual([
    "/cpu.weight=39",
    "/cpu.max=max 100000",
    "/memory.max=max",
  ]);
});

test("a process's cgroups by controller", () => {
  expect(parseCgroups("4:memory:/a/b\n3:cpu,cpuacct:/c\n0::/d\n")).toEqual(
    new Map([
      ["memory", "/a/b"],
      ["cpu", "/c"],
      ["cpuacct", "/c"],
      ["", "/d"],
    ]),
  );
});
