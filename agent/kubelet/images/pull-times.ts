import type { Family } from "#shared/metrics/prometheus-text.ts";
import { HistogramTable } from "#shared/metrics/tables.ts";

const mebi = 1024 ** 2;
/** Upstream's classes by size, the largest first. */
const sizes: readonly (readonly [above_bytes: number, label: string])[] = [
  [102_400 * mebi, "GT100GB"],
  [61_440 * mebi, "60GB-100GB"],
  [40_960 * mebi, "40GB-60GB"],
  [30_720 * mebi, "30GB-40GB"],
  [20_480 * mebi, "20GB-30GB"],
  [10_240 * mebi, "10GB-20GB"],
  [5_120 * mebi, "5GB-10GB"],
  [1_024 * mebi, "1GB-5GB"],
  [500 * mebi, "500MB-1GB"],
  [100 * mebi, "100MB-500MB"],
  [10 * mebi, "10MB-100MB"],
  [0, "0-10MB"],
];

/** How long pulls of images took, waiting among it, under upstream's name. */
export class PullTimes {
  readonly #times = new HistogramTable(
    {
      name: "kubelet_image_pull_duration_seconds",
      help: "How long pulls of images took, their wait for others among it, by the image's size.",
      labels: ["image_size_in_bytes"],
    },
    [1, 5, 10, 20, 30, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600],
  );

  /** @param size_bytes 0: not known */
  pulled(size_bytes: number, took_ms: number): void {
    const [, label] = sizes.find(([above_bytes]) => size_bytes > above_bytes) ?? [0, "N/A"];
    this.#times.observe(took_ms / 1000, [label]);
  }

  families(): Family[] {
    return [this.#times.family()];
  }
}
