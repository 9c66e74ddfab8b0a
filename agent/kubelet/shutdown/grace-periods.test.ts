import { expect, test } from "bun:test";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { byClass, gracePeriods, podGrace_s } from "./grace-periods.ts";

const settings = (total_s: number, critical_s: number, byPriority: readonly string[] = []) => ({
  shutdownGracePeriod: total_s * 1000,
  shutdownGracePeriodCriticalPods: critical_s * 1000,
  shutdownGracePeriodByPodPriority: byPriority,
});

const pod = (priority?: number, grace_s?: number): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p" },
  spec: { containers: [], priority, terminationGracePeriodSeconds: grace_s },
});

test("the two periods are two classes, the time of critical pods being the last part", () => {
  expect(gracePeriods(settings(30, 10))).toEqual([
    { priority: 0, grace_s: 20 },
    { priority: 2_000_000_000, grace_s: 10 },
  ]);
  expect(gracePeriods(settings(5, 10))).toEqual([
    { priority: 0, grace_s: 0 },
    { priority: 2_000_000_000, grace_s: 5 },
  ]);
  expect(gracePeriods(settings(0, 10))).toEqual([]);
  expect(() => gracePeriods(settings(0.5, 0))).toThrow("at least 1s");
});

test("classes by priority stand in place of them, in rising order", () => {
  expect(gracePeriods(settings(30, 10, ["100000=10", "-5=60", "0=20"]))).toEqual([
    { priority: -5, grace_s: 60 },
    { priority: 0, grace_s: 20 },
    { priority: 100_000, grace_s: 10 },
  ]);
  expect(() => gracePeriods(settings(30, 10, ["high=3"]))).toThrow("PRIORITY=SECONDS");
});

test("a pod is of the highest class that is not above it, else of the lowest; a static pod is critical", () => {
  const classes = gracePeriods(settings(30, 10, ["0=20", "1000=5", "2000000000=3"]));
  const fixed = { ...pod(), metadata: { name: "s", annotations: { "kubernetes.io/config.source": "file" } } };
  const pods = [pod(), pod(-7), pod(999), pod(1000), pod(2_000_001_000), fixed];
  const groups = byClass(classes, pods, (each) => each);
  expect(groups.map(({ grace_s, members }) => [grace_s, members.map((member) => pods.indexOf(member))])).toEqual([
    [20, [0, 1, 2]],
    [5, [3]],
    [3, [4, 5]],
  ]);
});

test("a pod gets its own grace period, but no more than its class has", () => {
  expect(podGrace_s(pod(0, 5), 20)).toBe(5);
  expect(podGrace_s(pod(0, 300), 20)).toBe(20);
});
