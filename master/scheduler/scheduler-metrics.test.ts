import { expect, test } from "bun:test";
import { pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
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
  for (const pod of [first, second, podNamed("third")]) queue.set(pod, "spec or labels");
  queue.set(podNamed("gated", { schedulingGates: [{ name: "wait" }] }), "spec or labels");
  await queue.next();
  metrics.begun(first);
  metrics.ended(first, "unschedulable");
  metrics.preempting(3);
  queue.park(first, new Set(["NodeResourcesFit"]));
  metrics.begun(second);
  metrics.ended(second, "scheduled");
  queue.delete(second.uid);

  const text = renderPrometheus(metrics.families(queue.pending));
  expect(text).toContain('scheduler_schedule_attempts_total{result="unschedulable",profile="default-scheduler"} 1');
  expect(text).toContain('scheduler_schedule_attempts_total{result="scheduled",profile="own"} 1');
  expect(text).toContain('scheduler_scheduling_attempt_duration_seconds_count{result="scheduled",profile="own"} 1');
  expect(text).toContain("scheduler_preemption_attempts_total 1");
  expect(text).toContain('scheduler_preemption_victims_bucket{le="4"} 1');
  expect(text).toContain('scheduler_preemption_victims_bucket{le="2"} 0');
  for (const [name, count] of Object.entries({ active: 1, backoff: 0, unschedulable: 1, gated: 1 }))
    expect(text).toContain(`scheduler_pending_pods{queue="${name}"} ${count}`);
  queue.close();
});
