import { expect, test } from "bun:test";
import { pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { ClusterCache } from "./cluster-cache.ts";
import { PodInfo } from "./pod-info.ts";
import { SchedulerMetrics } from "./scheduler-metrics.ts";
import { SchedulingQueue } from "./scheduling-queue.ts";

const podNamed = (name: string, spec: object = {}): PodInfo =>
  new PodInfo({
    apiVersion: "v1",
    kind: pods.kind,
    metadata: { name, namespace: "default", uid: name },
    spec: { containers: [], ...spec },
  } as Pod);

test("attempts, evictions and what waits are told under upstream's names", async () => {
  const metrics = new SchedulerMetrics();
  const queue = new SchedulingQueue(() => false);
  const [first, second] = [podNamed("first"), podNamed("second", { schedulerName: "own" })];
  for (const pod of [first, second, podNamed("third")]) queue.set(pod);
  queue.set(podNamed("gated", { schedulingGates: [{ name: "wait" }] }));
  await queue.next();
  metrics.begun(first);
  metrics.ended(first, "unschedulable");
  metrics.preempting(3);
  queue.park(first, new Set(["NodeResourcesFit"]));
  metrics.begun(second);
  metrics.ended(second, "scheduled");
  queue.delete(second.uid);

  const cache = new ClusterCache();
  cache.setNode({ apiVersion: "v1", kind: "Node", metadata: { name: "board" }, spec: {} });
  cache.assume(second, "board");
  const text = renderPrometheus(metrics.families({ queue, cache }));
  expect(text).toContain('scheduler_schedule_attempts_total{result="unschedulable",profile="default-scheduler"} 1');
  expect(text).toContain('scheduler_schedule_attempts_total{result="scheduled",profile="own"} 1');
  expect(text).toContain('scheduler_scheduling_attempt_duration_seconds_count{result="scheduled",profile="own"} 1');
  expect(text).toContain("scheduler_preemption_attempts_total 1");
  expect(text).toContain('scheduler_preemption_victims_bucket{le="4"} 1');
  expect(text).toContain('scheduler_preemption_victims_bucket{le="2"} 0');
  for (const [name, count] of Object.entries({ active: 1, backoff: 0, unschedulable: 1, gated: 1 }))
    expect(text).toContain(`scheduler_pending_pods{queue="${name}"} ${count}`);
  expect(text).toContain('scheduler_unschedulable_pods{plugin="NodeResourcesFit",profile="default-scheduler"} 1');
  for (const [type, count] of Object.entries({ nodes: 1, pods: 1, assumed_pods: 1 }))
    expect(text).toContain(`scheduler_cache_size{type="${type}"} ${count}`);
  queue.close();
});

test("how long a pod took from its first attempt is told by how many it took", async () => {
  const clock = new ManualClock();
  const metrics = new SchedulerMetrics();
  const queue = new SchedulingQueue(() => true, { clock });
  const pod = podNamed("web");
  queue.set(pod);
  await clock.advance(60_000);
  expect(queue.effortOf(pod.uid)).toBeUndefined();
  await queue.next();
  metrics.begun(pod);
  metrics.decided(pod);
  queue.park(pod, new Set(["NodeResourcesFit"]));
  await clock.advance(3000);
  queue.notice({ change: "nodeAdded" });
  await queue.next();
  metrics.decided(pod);
  const effort = queue.effortOf(pod.uid);
  expect(effort).toEqual({ attempts: 2, took_s: 3 });
  if (effort) metrics.bound(effort);
  metrics.bound({ attempts: 20, took_s: 100 });
  queue.close();

  const text = renderPrometheus(metrics.families({ queue, cache: new ClusterCache() }));
  expect(text).toContain("scheduler_scheduling_algorithm_duration_seconds_count 2");
  expect(text).toContain('scheduler_pod_scheduling_sli_duration_seconds_bucket{attempts="2",le="2.56"} 0');
  expect(text).toContain('scheduler_pod_scheduling_sli_duration_seconds_bucket{attempts="2",le="5.12"} 1');
  expect(text).toContain('scheduler_pod_scheduling_sli_duration_seconds_count{attempts="15+"} 1');
  expect(text).toContain('scheduler_pod_scheduling_attempts_bucket{le="2"} 1');
});

test("what brought a pod to a part of the queue is counted", async () => {
  const clock = new ManualClock();
  const queue = new SchedulingQueue(() => true, { clock, parkedAtMost_ms: 10_000 });
  const pod = podNamed("web");
  const other = podNamed("other");
  queue.set(podNamed("gated", { schedulingGates: [{ name: "wait" }] }));
  queue.set(pod);
  await queue.next();
  queue.park(pod, new Set(["NodeResourcesFit"]));
  // Still in its back-off, which is cut short as there is nothing else to do.
  queue.notice({ change: "podDeleted" });
  await queue.next();
  queue.retry(pod);
  await clock.advance(2000);
  const next = queue.next();
  await next;
  queue.park(pod, new Set(["NodeResourcesFit"]));
  await clock.advance(10_000);
  queue.set(other);
  await queue.next();
  queue.set(podNamed("gated"));
  queue.close();
  const lines = renderPrometheus(queue.counts.families())
    .split("\n")
    .filter((line) => line.startsWith("scheduler_queue_incoming_pods_total{"))
    .map((line) => /queue="(.*)",event="(.*)"\} (\d+)/.exec(line)?.slice(1).join(" "));
  expect(lines.sort()).toEqual([
    "active BackoffComplete 1",
    "active PopFromBackoffQ 1",
    "active UnschedulablePodAdd 2",
    "active UnschedulablePodUpdate 1",
    "active UnschedulableTimeout 1",
    "backoff AssignedPodDelete 1",
    "backoff ScheduleAttemptFailure 1",
    "unschedulable ScheduleAttemptFailure 2",
    "unschedulable UnschedulablePodAdd 1",
  ]);
});
