import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { cgroupFolders, foldersFrom, readCgroupUsage } from "./cgroup-usage.ts";
import { parseNetDev } from "./interface-counters.ts";

let root: string;
const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};

beforeAll(() => {
  root = `${mkdtempSync(join(tmpdir(), "cgroups-"))}/`;
});
afterAll(() => rmSync(root, { recursive: true }));

test("version 2 is read from one folder", async () => {
  write("proc/7/cgroup", "0::/kubepods/burstable/pod1/abc\n");
  const folder = "sys/fs/cgroup/kubepods/burstable/pod1/abc";
  const cpu = "usage_usec 2500\nuser_usec 2000\nsystem_usec 500\nnr_periods 9\nnr_throttled 3\nthrottled_usec 77\n";
  write(`${folder}/cpu.stat`, cpu);
  write(`${folder}/memory.current`, "1000\n");
  const memory = "anon 300\nfile 600\nfile_mapped 50\ninactive_file 400\npgfault 12\npgmajfault 2\n";
  write(`${folder}/memory.stat`, memory);
  write(`${folder}/pids.current`, "4\n");
  write(`${folder}/cgroup.procs`, "7\n8\n");
  write(`${folder}/memory.max`, "5000\n");
  const stall = "avg10=0.50 avg60=1.25 avg300=2.00 total=1234";
  write(`${folder}/cpu.pressure`, `some ${stall}\n`);
  write(`${folder}/io.pressure`, `some ${stall}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n`);
  const folders = await cgroupFolders(7, root);
  expect(folders && (await readCgroupUsage(folders))).toEqual({
    cpu_ns: 2_500_000,
    cpuUser_ns: 2_000_000,
    cpuSystem_ns: 500_000,
    periods: 9,
    throttledPeriods: 3,
    throttled_ns: 77_000,
    memory_bytes: 1000,
    workingSet_bytes: 600,
    rss_bytes: 300,
    cache_bytes: 600,
    mapped_bytes: 50,
    swap_bytes: 0,
    pageFaults: 12,
    majorPageFaults: 2,
    memoryLimit_bytes: 5000,
    processes: 2,
    threads: 4,
    stalls: {
      cpu: {
        some: { total_us: 1234, avg10: 0.5, avg60: 1.25, avg300: 2 },
        full: { total_us: 0, avg10: 0, avg60: 0, avg300: 0 },
      },
      io: {
        some: { total_us: 1234, avg10: 0.5, avg60: 1.25, avg300: 2 },
        full: { total_us: 9, avg10: 0, avg60: 0, avg300: 0 },
      },
    },
  });
});

test("version 1 is read from a folder for each controller, what is below included", async () => {
  write("proc/8/cgroup", "5:memory:/docker/x\n4:pids:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/\n0::/\n");
  write("sys/fs/cgroup/cpuacct/docker/x/cpuacct.usage", "123456789\n");
  write("sys/fs/cgroup/cpuacct/docker/x/cpuacct.stat", "user 10\nsystem 2\n");
  write("sys/fs/cgroup/cpu/docker/x/cpu.stat", "nr_periods 1\nnr_throttled 1\nthrottled_time 5\n");
  write("sys/fs/cgroup/memory/docker/x/memory.usage_in_bytes", "1000\n");
  const memory = "rss 1\ncache 2\ntotal_rss 100\ntotal_cache 800\ntotal_inactive_file 300\ntotal_swap 7\n";
  write("sys/fs/cgroup/memory/docker/x/memory.stat", memory);
  const folders = await cgroupFolders(8, root);
  expect(folders && (await readCgroupUsage(folders))).toMatchObject({
    cpu_ns: 123_456_789,
    cpuUser_ns: 100_000_000,
    throttled_ns: 5,
    workingSet_bytes: 700,
    rss_bytes: 100,
    cache_bytes: 800,
    swap_bytes: 7,
  });
});

test("a process or a group that has gone gives nothing", async () => {
  expect(await cgroupFolders(9, root)).toBeUndefined();
  const folders = foldersFrom("0::/gone\n", `${root}sys/fs/cgroup`);
  expect(folders && (await readCgroupUsage(folders))).toBeUndefined();
});

test("interfaces but the loopback", () => {
  const text = [
    "Inter-|   Receive                                                |  Transmit",
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets",
    "    lo:    1000      10    0    0    0     0          0         0     1000      10 0 0 0 0 0 0",
    "  eth0:     200       2    3    4    0     0          0         0      300       3 5 6 0 0 0 0",
    "  net1:7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0",
  ].join("\n");
  expect(parseNetDev(text)).toEqual([
    {
      name: "eth0",
      received_bytes: 200,
      receivedPackets: 2,
      receiveErrors: 3,
      receiveDrops: 4,
      sent_bytes: 300,
      sentPackets: 3,
      sendErrors: 5,
      sendDrops: 6,
    },
    {
      name: "net1",
      received_bytes: 7,
      receivedPackets: 1,
      receiveErrors: 0,
      receiveDrops: 0,
      sent_bytes: 8,
      sentPackets: 1,
      sendErrors: 0,
      sendDrops: 0,
    },
  ]);
});
