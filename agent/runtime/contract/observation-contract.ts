import { expect, test } from "bun:test";
import { setTimeout as delay } from "node:timers/promises";
import type { RuntimeEvent } from "../runtime.ts";
import { eventually, type RuntimeBench, shell, sleeper } from "./runtime-bench.ts";

/** What a runtime tells and changes while containers run: resources, statistics, events, images. */
export function observationContract(bench: RuntimeBench): void {
  test("resources can be set and changed", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const id = await bench.start(sandboxId, sandbox, {
        ...sleeper,
        resources: { memoryLimit_bytes: 64 * 2 ** 20, cpuShares: 100, oomScoreAdj: -500 },
      });
      await bench.runtime.updateResources(id, { memoryLimit_bytes: 96 * 2 ** 20, cpuShares: 200 });
      const limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null";
      const { stdout } = await bench.runtime.execSync(id, ["sh", "-c", limit], 30_000);
      expect(stdout.trim()).toBe(String(96 * 2 ** 20));
    });
  });

  test("stats count time, memory and traffic", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; ping -c 1 -W 1 10.88.0.1; sleep 1000";
      const id = await bench.start(sandboxId, sandbox, shell(script));
      const stats = await eventually(async () => {
        const now = await bench.runtime.stats(id);
        if (now.networkTx_bytes === 0) throw new Error("nothing sent yet");
        return now;
      });
      expect(stats.cpuUsage_ns).toBeGreaterThan(0);
      expect(stats.memoryUsage_bytes).toBeGreaterThan(0);
      expect(stats.memoryWorkingSet_bytes).toBeLessThanOrEqual(stats.memoryUsage_bytes);
    });
  });

  test("events tell of starts and deaths, and end when asked", async () => {
    const stop = new AbortController();
    const seen: RuntimeEvent[] = [];
    const both = Promise.withResolvers<void>();
    const watching = (async () => {
      for await (const event of bench.runtime.events(stop.signal)) {
        seen.push(event);
        // Who looks because of an event sees what it told.
        const told = (await bench.runtime.listContainers()).find(({ id }) => id === event.containerId);
        if (event.kind === "died" && told) expect(told.state).toBe("exited");
        if (seen.some((e) => e.kind === "died")) both.resolve();
      }
    })();
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      // The stream may open after the first container began: the next one is seen then.
      while (!seen.some((e) => e.kind === "died")) {
        const id = await bench.start(sandboxId, sandbox, { ...shell("exit 0"), attempt: seen.length });
        await bench.ended(id, sandbox.pod.uid);
        await Promise.race([both.promise, delay(500)]);
        await bench.runtime.removeContainer(id);
      }
      expect(seen.find((e) => e.kind === "died")?.podUid).toBe(sandbox.pod.uid);
    });
    stop.abort();
    await watching;
  });

  test("images: status by name and id, list, pinned pause", async () => {
    const status = await bench.runtime.imageStatus(bench.image);
    expect(status).toMatchObject({ pinned: false });
    expect(status?.platform).toStartWith("linux/");
    expect((await bench.runtime.imageStatus(status?.id ?? ""))?.id).toBe(status?.id ?? "none");
    const listed = await bench.runtime.listImages();
    expect(listed.some((i) => i.id === status?.id)).toBe(true);
    expect(listed.some((i) => i.pinned)).toBe(true);
    await bench.runtime.removeImage("docker.io/bramble-test/absent:1");
  });
}
