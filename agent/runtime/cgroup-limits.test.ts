import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { cgroupSettings, parseCgroups, writeUnified } from "./cgroup-limits.ts";

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

test("files of a control group are written where there is version 2, and the kernel has them", async () => {
  const root = `${mkdtempSync(join(tmpdir(), "bramble-unified-"))}/`;
  const write = (path: string, content: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  write("proc/7/cgroup", "0::/kubepods/pod1/abc\n");
  write("proc/8/cgroup", "2:memory:/kubepods/pod1/abc\n0::/\n");
  write("sys/fs/cgroup/kubepods/pod1/abc/memory.oom.group", "0");
  const files = { "memory.oom.group": "1", "memory.swap.max": "0" };
  await writeUnified(8, files, root);
  const read = (): string => readFileSync(join(root, "sys/fs/cgroup/kubepods/pod1/abc/memory.oom.group"), "utf8");
  expect(read()).toBe("0");
  await writeUnified(7, files, root);
  expect(read()).toBe("1");
  expect(existsSync(join(root, "sys/fs/cgroup/kubepods/pod1/abc/memory.swap.max"))).toBe(false);
  rmSync(root, { recursive: true });
});
