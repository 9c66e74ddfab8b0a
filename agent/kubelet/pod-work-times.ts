import type { Family } from "#shared/metrics/prometheus-text.ts";
import { HistogramTable } from "#shared/metrics/tables.ts";

/** What a worker does for its pod: the first time, after a change of it, for anything else that happened, or to end it. */
export type PodWork = "create" | "update" | "sync" | "kill";

const work_s = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const start_s = [
  0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600,
];

/** How long a kubelet works on its pods, under upstream's names and with its bounds. */
export class PodWorkTimes {
  readonly #work = new HistogramTable(
    {
      name: "kubelet_pod_worker_duration_seconds",
      help: "How long it took to bring a pod on, by what was done.",
      labels: ["operation_type"],
    },
    work_s,
  );
  readonly #start = new HistogramTable(
    { name: "kubelet_pod_start_duration_seconds", help: "From a pod's first sight until it runs.", labels: [] },
    start_s,
  );

  /** Of one pod, seen now for the first time. */
  ofPod(now_ms: () => number = () => performance.now()): PodTimes {
    return new PodTimes(this.#work, this.#start, now_ms);
  }

  families(): Family[] {
    return [this.#work.family(), this.#start.family()];
  }
}

export class PodTimes {
  readonly #seen_ms: number;
  #next: PodWork = "create";
  #phase: string | undefined;

  constructor(
    private readonly work: HistogramTable,
    private readonly start: HistogramTable,
    private readonly now_ms: () => number,
  ) {
    this.#seen_ms = now_ms();
  }

  /** The pod is another one than before, by more than its status. */
  noteChange(): void {
    if (this.#next === "sync") this.#next = "update";
  }

  /** Runs and measures one piece of work on the pod; what fails is not counted, as upstream has it. */
  async measure<T>(aim: "bring on" | "end", run: () => Promise<T>): Promise<T> {
    const began_ms = this.now_ms();
    const due = this.#next;
    const kind = aim === "end" ? "kill" : due;
    // Before the work, during which the pod may change.
    this.#next = "sync";
    const result = await run().catch((error: unknown) => {
      if (due === "create" || this.#next === "sync") this.#next = due;
      throw error;
    });
    this.work.observe((this.now_ms() - began_ms) / 1000, [kind]);
    return result;
  }

  /** A pod that ran already when it was first seen did not start now. */
  notePhase(phase: string | undefined): void {
    if (this.#phase === "Pending" && phase === "Running") this.start.observe((this.now_ms() - this.#seen_ms) / 1000);
    this.#phase = phase;
  }
}
