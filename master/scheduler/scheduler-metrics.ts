/** What the scheduler tells of its attempts, under upstream's names. */

import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable, exponential, HistogramTable } from "#shared/metrics/tables.ts";
import { ExtensionTimes } from "./extension-times.ts";
import type { PodInfo } from "./pod-info.ts";
import { schedulerNameOf } from "./scheduler-name.ts";

export type AttemptResult = "scheduled" | "unschedulable" | "error";

/** How many pods wait, by why they do. */
export interface PendingPods {
  readonly active: number;
  readonly backoff: number;
  readonly unschedulable: number;
  readonly gated: number;
}

/** What it has taken to schedule a pod. */
export interface SchedulingEffort {
  readonly attempts: number;
  /** Since the first of them. */
  readonly took_s: number;
}

/** What is read when somebody asks. */
export interface SchedulerState {
  readonly queue: {
    readonly pending: PendingPods;
    readonly counts: { families(): Family[] };
    rejections(): Iterable<{ readonly plugins: Iterable<string>; readonly profile: string }>;
  };
  readonly cache: { readonly sizes: Readonly<Record<"nodes" | "pods" | "assumed_pods", number>> };
}

/** Pods that took so many attempts or more are told together. */
const manyAttempts = 15;

export class SchedulerMetrics {
  readonly #attempts = new CounterTable({
    name: "scheduler_schedule_attempts_total",
    help: "Attempts to schedule pods, by their result.",
    labels: ["result", "profile"],
  });
  readonly #durations = new HistogramTable(
    {
      name: "scheduler_scheduling_attempt_duration_seconds",
      help: "How long attempts took, the binding among them.",
      labels: ["result", "profile"],
    },
    exponential(0.001, 2, 15),
  );
  readonly #algorithm = new HistogramTable(
    {
      name: "scheduler_scheduling_algorithm_duration_seconds",
      help: "How long decisions took, without the binding.",
      labels: [],
    },
    exponential(0.001, 2, 15),
  );
  readonly #sli = new HistogramTable(
    {
      name: "scheduler_pod_scheduling_sli_duration_seconds",
      help: "From the first attempt until a pod was bound, by how many it took.",
      labels: ["attempts"],
    },
    exponential(0.01, 2, 20),
  );
  readonly #tries = new HistogramTable(
    { name: "scheduler_pod_scheduling_attempts", help: "Attempts that it took until a pod was bound.", labels: [] },
    exponential(1, 2, 5),
  );
  readonly #preemptions = new CounterTable({
    name: "scheduler_preemption_attempts_total",
    help: "Attempts to make room by evicting others.",
    labels: [],
  });
  readonly #victims = new HistogramTable(
    { name: "scheduler_preemption_victims", help: "Pods chosen to be evicted, by attempt.", labels: [] },
    [1, 2, 4, 8, 16, 32, 64],
  );
  readonly steps = new ExtensionTimes();
  readonly #began = new WeakMap<PodInfo, number>();

  begun(pod: PodInfo): void {
    this.#began.set(pod, performance.now());
  }

  /** A node was chosen, or none found, room by preemption among it. */
  decided(pod: PodInfo): void {
    const began_ms = this.#began.get(pod);
    if (began_ms !== undefined) this.#algorithm.observe((performance.now() - began_ms) / 1000);
  }

  bound({ attempts, took_s }: SchedulingEffort): void {
    this.#tries.observe(attempts);
    this.#sli.observe(took_s, [attempts >= manyAttempts ? `${manyAttempts}+` : String(attempts)]);
  }

  ended(pod: PodInfo, result: AttemptResult): void {
    const labels = [result, schedulerNameOf(pod.pod)];
    this.#attempts.add(labels);
    const began_ms = this.#began.get(pod);
    if (began_ms !== undefined) this.#durations.observe((performance.now() - began_ms) / 1000, labels);
  }

  preempting(victims: number): void {
    this.#preemptions.add();
    this.#victims.observe(victims);
  }

  families({ queue, cache }: SchedulerState): Family[] {
    return [
      this.#attempts.family(),
      this.#durations.family(),
      this.#algorithm.family(),
      this.#sli.family(),
      this.#tries.family(),
      this.#preemptions.family(),
      this.#victims.family(),
      ...this.steps.families(),
      {
        name: "scheduler_pending_pods",
        type: "gauge",
        help: "Pods that wait, by why they do.",
        samples: Object.entries(queue.pending).map(([part, value]) => ({ labels: { queue: part }, value })),
      },
      unschedulable(queue.rejections()),
      ...queue.counts.families(),
      {
        name: "scheduler_cache_size",
        type: "gauge",
        help: "What the scheduler knows of: nodes, pods on them, and pods whose binding is under way.",
        samples: Object.entries(cache.sizes).map(([type, value]) => ({ labels: { type }, value })),
      },
    ];
  }
}

/** How many pods each plugin keeps waiting: a pod counts for all that turned it down. */
function unschedulable(rejections: ReturnType<SchedulerState["queue"]["rejections"]>): Family {
  const counts = new Map<string, { labels: { plugin: string; profile: string }; value: number }>();
  for (const { plugins, profile } of rejections)
    for (const plugin of plugins) {
      const key = `${plugin}/${profile}`;
      const known = counts.get(key);
      if (known) known.value += 1;
      else counts.set(key, { labels: { plugin, profile }, value: 1 });
    }
  return {
    name: "scheduler_unschedulable_pods",
    type: "gauge",
    help: "Pods that wait, by each plugin that turned them down.",
    samples: [...counts.values()],
  };
}
