/** What work queues that have a name tell of themselves, under client-go's names. */
import type { Family } from "./prometheus-text.ts";
import { CounterTable, exponential, HistogramTable } from "./tables.ts";

/** From 10 ns to 1000 s. */
const bounds_s = exponential(1e-8, 10, 12);

export const queueAdds = new CounterTable({ name: "workqueue_adds_total", help: "Keys added.", labels: ["name"] });
export const queueRetries = new CounterTable({
  name: "workqueue_retries_total",
  help: "Keys added again after a failure.",
  labels: ["name"],
});
export const queueWaits = new HistogramTable(
  { name: "workqueue_queue_duration_seconds", help: "How long keys waited to be taken.", labels: ["name"] },
  bounds_s,
);
export const queueWork = new HistogramTable(
  { name: "workqueue_work_duration_seconds", help: "How long work on a key took.", labels: ["name"] },
  bounds_s,
);

export interface NamedQueue {
  readonly name: string;
  readonly length: number;
  /** When work on what is under way began, in ms of `now_ms`. */
  readonly began_ms: Iterable<number>;
  now_ms(): number;
}

/** Those that are not shut down. */
export const namedQueues = new Set<NamedQueue>();

export function workQueueFamilies(): Family[] {
  const gauge = (name: string, help: string, of: (ages_s: number[], queue: NamedQueue) => number): Family => ({
    name,
    help,
    type: "gauge",
    samples: [...namedQueues].map((queue) => {
      const now_ms = queue.now_ms();
      const ages_s = Array.from(queue.began_ms, (began_ms) => (now_ms - began_ms) / 1000);
      return { labels: { name: queue.name }, value: of(ages_s, queue) };
    }),
  });
  return [
    queueAdds.family(),
    queueRetries.family(),
    queueWaits.family(),
    queueWork.family(),
    gauge("workqueue_depth", "Keys that wait.", (_, { length }) => length),
    gauge("workqueue_unfinished_work_seconds", "Time spent so far on what is under way.", (ages_s) =>
      ages_s.reduce((sum, age_s) => sum + age_s, 0),
    ),
    gauge(
      "workqueue_longest_running_processor_seconds",
      "Time spent so far on the longest that is under way.",
      (ages_s) => Math.max(0, ...ages_s),
    ),
  ];
}
