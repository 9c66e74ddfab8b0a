/** What the scheduler tells of its attempts, under upstream's names. */
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable, exponential, HistogramTable } from "#shared/metrics/tables.ts";
import type { PodInfo } from "./pod-info.ts";

export type AttemptResult = "scheduled" | "unschedulable" | "error";

/** How many pods wait, by why they do. */
export interface PendingPods {
  readonly active: number;
  readonly backoff: number;
  readonly unschedulable: number;
  readonly gated: number;
}

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
  readonly #preemptions = new CounterTable({
    name: "scheduler_preemption_attempts_total",
    help: "Attempts to make room by evicting others.",
    labels: [],
  });
  readonly #victims = new HistogramTable(
    { name: "scheduler_preemption_victims", help: "Pods chosen to be evicted, by attempt.", labels: [] },
    [1, 2, 4, 8, 16, 32, 64],
  );
  readonly #began = new WeakMap<PodInfo, number>();

  begun(pod: PodInfo): void {
    this.#began.set(pod, performance.now());
  }

  ended(pod: PodInfo, result: AttemptResult): void {
    const labels = [result, pod.pod.spec?.schedulerName ?? "default-scheduler"];
    this.#attempts.add(labels);
    const began_ms = this.#began.get(pod);
    if (began_ms !== undefined) this.#durations.observe((performance.now() - began_ms) / 1000, labels);
  }

  preempting(victims: number): void {
    this.#preemptions.add();
    this.#victims.observe(victims);
  }

  families(pending: PendingPods): Family[] {
    return [
      this.#attempts.family(),
      this.#durations.family(),
      this.#preemptions.family(),
      this.#victims.family(),
      {
        name: "scheduler_pending_pods",
        type: "gauge",
        help: "Pods that wait, by why they do.",
        samples: Object.entries(pending).map(([queue, value]) => ({ labels: { queue }, value })),
      },
    ];
  }
}
