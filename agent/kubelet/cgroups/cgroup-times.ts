import type { Family } from "#shared/metrics/prometheus-text.ts";
import { HistogramTable } from "#shared/metrics/tables.ts";
import type { GroupTree } from "./cgroup-tree.ts";

/** How long it takes to make, limit and remove control groups, under upstream's names. */
export class CgroupTimes {
  readonly #durations = new HistogramTable(
    {
      name: "kubelet_cgroup_manager_duration_seconds",
      help: "How long changes of control groups took.",
      labels: ["operation_type"],
    },
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  );

  /** The same tree; what is changed by way of this one is measured. */
  timed(tree: GroupTree): GroupTree {
    return {
      exists: (path) => tree.exists(path),
      current: (path) => tree.current(path),
      memoryUsage_bytes: (path) => tree.memoryUsage_bytes(path),
      folders: (path) => tree.folders(path),
      children: (path) => tree.children(path),
      create: (path, limits) => this.#time("create", () => tree.create(path, limits)),
      set: (path, limits) => this.#time("update", () => tree.set(path, limits)),
      remove: (path) => this.#time("destroy", () => tree.remove(path)),
    };
  }

  families(): Family[] {
    return [this.#durations.family()];
  }

  async #time(operation: string, run: () => Promise<void>): Promise<void> {
    const began_ms = performance.now();
    try {
      await run();
    } finally {
      this.#durations.observe((performance.now() - began_ms) / 1000, [operation]);
    }
  }
}
