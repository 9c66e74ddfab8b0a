import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ManualClock } from "../testing/manual-clock.ts";
import { DeadlineHeap } from "./deadline-heap.ts";
import { WorkQueue } from "./work-queue.ts";

describe("WorkQueue", () => {
  test("hands out keys in order, each once", async () => {
    const queue = new WorkQueue();
    for (const key of ["a", "b", "a", "c"]) queue.add(key);
    expect([await queue.get(), await queue.get(), await queue.get()]).toEqual(["a", "b", "c"]);
    expect(queue.length).toBe(0);
  });

  test("a key added while it is processed comes again after done, not before", async () => {
    const queue = new WorkQueue();
    queue.add("a");
    await queue.get();
    queue.add("a");
    queue.add("a");
    expect(queue.length).toBe(0);
    queue.done("a");
    expect(queue.length).toBe(1);
    expect(await queue.get()).toBe("a");
    queue.done("a");
    expect(queue.idle).toBe(true);
  });

  test("a waiting taker gets the key, and the key counts as processed", async () => {
    const queue = new WorkQueue();
    const taken = queue.get();
    queue.add("a");
    queue.add("a");
    expect(await taken).toBe("a");
    expect(queue.length).toBe(0);
    queue.done("a");
    expect(queue.length).toBe(1);
  });

  test("the earliest of several delays wins", async () => {
    const clock = new ManualClock();
    const queue = new WorkQueue({ clock });
    queue.addAfter("a", 1000);
    queue.addAfter("a", 100);
    queue.addAfter("a", 500);
    queue.addAfter("b", 50);
    await clock.advance(50);
    expect(queue.length).toBe(1);
    await clock.advance(50);
    expect(queue.length).toBe(2);
    expect([await queue.get(), await queue.get()]).toEqual(["b", "a"]);
    queue.done("a");
    await clock.advance(2000);
    expect(queue.length).toBe(0);
  });

  test("failures back off to the cap and start over after forget", async () => {
    const clock = new ManualClock();
    const queue = new WorkQueue({ clock, firstBackOff_ms: 10, longestBackOff_ms: 40 });
    for (const delay_ms of [10, 20, 40, 40]) {
      queue.addRateLimited("a");
      await clock.advance(delay_ms - 1);
      expect(queue.length).toBe(0);
      await clock.advance(1);
      expect(await queue.get()).toBe("a");
      queue.done("a");
    }
    queue.forget("a");
    queue.addRateLimited("a");
    await clock.advance(10);
    expect(queue.length).toBe(1);
  });

  test("shutDown ends those who wait", async () => {
    const queue = new WorkQueue();
    const taken = queue.get();
    queue.shutDown();
    expect(await taken).toBeUndefined();
    queue.add("a");
    expect(await queue.get()).toBeUndefined();
  });
});

test("DeadlineHeap gives every key once, at its earliest time, in order", () => {
  const settings = fc.array(fc.tuple(fc.constantFrom(..."abcdefgh"), fc.nat(100)), { maxLength: 60 });
  fc.assert(
    fc.property(settings, fc.nat(100), (all, until_ms) => {
      const heap = new DeadlineHeap();
      const earliest = new Map<string, number>();
      for (const [key, at_ms] of all) {
        heap.set(key, at_ms);
        earliest.set(key, Math.min(at_ms, earliest.get(key) ?? Number.POSITIVE_INFINITY));
      }
      const due = [...earliest].filter(([, at_ms]) => at_ms <= until_ms);
      const taken = heap.takeUntil(until_ms);
      expect(new Set(taken)).toEqual(new Set(due.map(([key]) => key)));
      expect(taken.map((key) => earliest.get(key) ?? 0)).toEqual(due.map(([, at_ms]) => at_ms).sort((a, b) => a - b));
      expect(heap.size).toBe(earliest.size - due.length);
    }),
  );
});
