import { expect, test } from "bun:test";
import { runQueueWorker } from "./queue-worker.ts";
import { WorkQueue } from "./work-queue.ts";

test("keys rest, come back when they ask for it or have failed, or are given up", async () => {
  const queue = new WorkQueue({ firstBackOff_ms: 1, longestBackOff_ms: 1 });
  const looks: Record<string, number> = {};
  const told: string[] = [];
  const working = runQueueWorker(
    queue,
    async (key) => {
      const times = (looks[key] ?? 0) + 1;
      looks[key] = times;
      if (key === "hopeless" || (key === "failing" && times < 3)) throw new Error(`${key} ${times}`);
      if (key === "early" && times < 3) return "not yet";
      if (key === "again" && times < 3) return { requeueAfter_ms: 1 };
      return undefined;
    },
    (key, error) => {
      told.push((error as Error).message);
      return key === "hopeless" ? "give up" : undefined;
    },
  );
  for (const key of ["resting", "failing", "early", "again", "hopeless"]) queue.add(key);
  while (!queue.idle) await Bun.sleep(1);
  expect(looks).toEqual({ resting: 1, failing: 3, early: 3, again: 3, hopeless: 1 });
  expect(told.sort()).toEqual(["failing 1", "failing 2", "hopeless 1"]);
  expect(["failing", "early", "hopeless"].map((key) => queue.failuresOf(key))).toEqual([0, 0, 0]);
  queue.shutDown();
  await working;
});

test("a key whose look found the cache behind comes back, and is no less failed than before", async () => {
  const queue = new WorkQueue({ firstBackOff_ms: 1, longestBackOff_ms: 1 });
  const failures: number[] = [];
  const working = runQueueWorker(
    queue,
    async (key) => {
      failures.push(queue.failuresOf(key));
      if (failures.length === 1) throw new Error("refused");
      return failures.length < 4 ? { behind_ms: 1 } : undefined;
    },
    () => undefined,
  );
  queue.add("a");
  while (!queue.idle) await Bun.sleep(1);
  expect(failures).toEqual([0, 1, 1, 1]);
  expect(queue.failuresOf("a")).toBe(0);
  queue.shutDown();
  await working;
});
