import { expect, test } from "bun:test";
import { parseKernelRecord, SystemOom, victimOf } from "./system-oom.ts";

const boardKill =
  "Out of memory: Killed process 4711 (web (1)) total-vm:1000kB, anon-rss:900kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:44kB oom_score_adj:0";
const groupKill = "Memory cgroup out of memory: Killed process 4712 (job) total-vm:1000kB, anon-rss:900kB, UID:0";

test("records of the kernel's log, and whom it killed for the board's sake", () => {
  expect(parseKernelRecord(`3,339,5140900,-;${boardKill}\n SUBSYSTEM=x\n`)).toEqual({
    sequence: 339,
    sinceBoot_us: 5_140_900,
    message: boardKill,
  });
  expect(parseKernelRecord(" SUBSYSTEM=x")).toBeUndefined();
  expect(victimOf(boardKill)).toEqual({ pid: 4711, process: "web (1)" });
  // Older kernels.
  expect(victimOf("Out of memory: Kill process 5 (a) score 900 or sacrifice child")).toEqual({ pid: 5, process: "a" });
  expect(victimOf(groupKill)).toBeUndefined();
  expect(victimOf("web invoked oom-killer: gfp_mask=0x0, order=0")).toBeUndefined();
});

test("the kernel's log is read when the count of kills has risen, and told once, without what was before", async () => {
  let killed = 3;
  let reads = 0;
  const log = [`3,1,100,-;${boardKill}`];
  const oom = new SystemOom({
    vmstat: async () => `nr_free_pages 1\noom_kill ${killed}\nswap_ra 0\n`,
    kernelLog: () => {
      reads += 1;
      return log;
    },
    uptime_us: () => 1_000,
  });
  expect(await oom.look()).toEqual([]);
  expect(await oom.look()).toEqual([]);
  expect(reads).toBe(0);
  killed = 4;
  log.push(`3,2,2000,-;${groupKill}`);
  expect(await oom.look()).toEqual([]);
  killed = 5;
  log.push(`3,3,3000,-;${boardKill}`);
  expect(await oom.look()).toEqual([{ pid: 4711, process: "web (1)" }]);
  killed = 6;
  expect(await oom.look()).toEqual([]);
  expect(reads).toBe(3);
});

test("the real log can be read to its end, where the kernel lets this process", async () => {
  let killed = 0;
  const oom = new SystemOom({ vmstat: async () => `oom_kill ${killed++}`, uptime_us: () => Number.MAX_SAFE_INTEGER });
  await oom.look();
  const found = await oom.look().catch((error: unknown) => {
    // No such device in a container, or not for this user.
    expect(["ENOENT", "EPERM", "EACCES"]).toContain((error as { code?: string }).code ?? "");
    return [];
  });
  expect(found).toEqual([]);
});
