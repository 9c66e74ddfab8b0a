import { expect, test } from "bun:test";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ContainerStatus } from "../../runtime/runtime.ts";
import type { CgroupUsage } from "../../telemetry/cgroup-usage.ts";
import { readNodeFigures } from "../../telemetry/node-figures.ts";
import { CpuRates } from "./cpu-rates.ts";
import { statsSummary } from "./stats-summary.ts";
import type { SummaryInput } from "./summary-input.ts";

const stall = {
  some: { total_us: 7, avg10: 1, avg60: 2, avg300: 3 },
  full: { total_us: 0, avg10: 0, avg60: 0, avg300: 0 },
};
const psi = { full: { total: 0, avg10: 0, avg60: 0, avg300: 0 }, some: { total: 7, avg10: 1, avg60: 2, avg300: 3 } };
const group: CgroupUsage = {
  cpu_ns: 5,
  cpuUser_ns: 0,
  cpuSystem_ns: 0,
  periods: 0,
  throttledPeriods: 0,
  throttled_ns: 0,
  memory_bytes: 100,
  workingSet_bytes: 80,
  rss_bytes: 60,
  cache_bytes: 0,
  mapped_bytes: 0,
  swap_bytes: 9,
  pageFaults: 4,
  majorPageFaults: 1,
  memoryLimit_bytes: 1000,
  processes: 2,
  threads: 6,
  stalls: { cpu: stall, memory: stall, io: stall },
};
const filesystem = { capacity_bytes: 1000, available_bytes: 300, used_bytes: 600, inodes: 50, inodesFree: 40 };
const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "n", uid: "u" },
  spec: { containers: [{ name: "c", image: "i" }] },
  status: { startTime: "2026-01-01T00:00:00Z" },
};
const container = { id: "id", name: "c", createdAt_ms: 0, startedAt_ms: 1000, logPath: "/log" } as ContainerStatus;
const stats = {
  timestamp_ms: 2000,
  cpuUsage_ns: 5,
  memoryWorkingSet_bytes: 80,
  memoryUsage_bytes: 100,
  memoryRss_bytes: 60,
  networkRx_bytes: 0,
  networkTx_bytes: 0,
  fsUsed_bytes: 11,
  cgroup: group,
};
const at = "1970-01-01T00:00:02.000Z";

async function input(): Promise<SummaryInput> {
  return {
    nodeName: "board",
    node: { ...(await readNodeFigures()), at_ms: 2000, stalls: { io: stall }, tasks: { most: 100, present: 30 } },
    pods: [{ pod, containers: [{ container, stats }] }],
    groups: { pods: new Map([["u", group]]), all: group },
    agent: group,
    storage: {
      filesystem,
      imageFilesystem: filesystem,
      volumes: new Map([
        [
          "u",
          [
            {
              name: "scratch",
              claim: undefined,
              isEphemeral: true,
              measured_ms: performance.now(),
              usage: { used_bytes: 20, inodesUsed: 3 },
            },
            {
              name: "data",
              claim: { namespace: "n", name: "d" },
              isEphemeral: false,
              measured_ms: performance.now(),
              usage: { used_bytes: 700, inodesUsed: 30 },
            },
          ],
        ],
      ]),
      logs: new Map([["id", { size_bytes: 4, inodes: 1 }]]),
    },
  };
}

const memory = {
  time: at,
  availableBytes: 920,
  usageBytes: 100,
  workingSetBytes: 80,
  rssBytes: 60,
  pageFaults: 4,
  majorPageFaults: 1,
  psi,
};
const fs = { time: at, availableBytes: 300, capacityBytes: 1000, inodesFree: 40, inodes: 50 };

test("a pod: what the kernel counts of its group, its disk as a part of the board's, its volumes", async () => {
  const { pods } = statsSummary(await input(), new CpuRates()) as { pods: Record<string, unknown>[] };
  const { volume, ...rest } = pods[0] ?? {};
  expect(rest).toEqual({
    podRef: { name: "p", namespace: "n", uid: "u" },
    startTime: "2026-01-01T00:00:00Z",
    containers: [
      {
        name: "c",
        startTime: "1970-01-01T00:00:01.000Z",
        cpu: { time: at, usageCoreNanoSeconds: 5, psi },
        memory,
        swap: { time: at, swapUsageBytes: 9 },
        io: { time: at, psi },
        rootfs: { ...fs, usedBytes: 11 },
        logs: { ...fs, usedBytes: 4, inodesUsed: 1 },
      },
    ],
    cpu: { time: at, usageCoreNanoSeconds: 5, psi },
    memory,
    swap: { time: at, swapUsageBytes: 9 },
    io: { time: at, psi },
    "ephemeral-storage": { ...fs, usedBytes: 35, inodesUsed: 4 },
    process_stats: { process_count: 2 },
  });
  expect(volume).toMatchObject([
    { name: "scratch", usedBytes: 20 },
    { name: "data", pvcRef: { name: "d" } },
  ]);
});

test("the board: file systems, processes, pressure, swap, and what its agent and all pods use", async () => {
  const { node } = statsSummary(await input(), new CpuRates()) as { node: Record<string, unknown> };
  expect(node).toMatchObject({
    nodeName: "board",
    memory: {
      usageBytes: expect.any(Number),
      availableBytes: expect.any(Number),
      rssBytes: expect.any(Number),
      pageFaults: expect.any(Number),
      majorPageFaults: expect.any(Number),
    },
    swap: { time: at, swapAvailableBytes: expect.any(Number), swapUsageBytes: expect.any(Number) },
    io: { time: at, psi },
    fs: { ...fs, usedBytes: 600, inodesUsed: 10 },
    runtime: { imageFs: fs, containerFs: fs },
    rlimit: { time: at, maxpid: 100, curproc: 30 },
    network: { time: at, interfaces: expect.any(Array) },
    systemContainers: [
      { name: "kubelet", memory, io: { psi }, swap: { swapUsageBytes: 9 } },
      { name: "pods", cpu: { usageCoreNanoSeconds: 5 } },
    ],
  });
});

test("asked for CPU and memory alone, nothing of disks and networks", async () => {
  const { storage: _, ...rest } = await input();
  const { node, pods } = statsSummary(rest, new CpuRates()) as { node: object; pods: object[] };
  expect(Object.keys(node)).toEqual(["nodeName", "systemContainers", "startTime", "cpu", "memory", "swap"]);
  expect(Object.keys(pods[0] ?? {})).toEqual(["podRef", "startTime", "containers", "cpu", "memory", "swap"]);
});
