import type { Family } from "#shared/metrics/prometheus-text.ts";
import { exponential, HistogramTable } from "#shared/metrics/tables.ts";
import type { Rejection } from "./framework.ts";

/** Steps of a scheduling cycle and of the binding after it. What plugins prepare for scoring is measured with it, as Score. */
export type ExtensionPoint = "PreFilter" | "Filter" | "PostFilter" | "Score" | "Reserve" | "PreBind" | "Bind";

/** What came of a step, in upstream's words. */
export type StepStatus = "Success" | "Unschedulable" | "UnschedulableAndUnresolvable" | "Pending" | "Error";

export const statusOf = (rejection: Rejection | undefined): StepStatus => {
  if (!rejection) return "Success";
  return rejection.preemptible ? "Unschedulable" : "UnschedulableAndUnresolvable";
};

/** How long all plugins of a step take together, under upstream's name. */
export class ExtensionTimes {
  readonly #times = new HistogramTable(
    {
      name: "scheduler_framework_extension_point_duration_seconds",
      help: "How long all plugins of a step took, for one pod.",
      labels: ["extension_point", "status", "profile"],
    },
    exponential(0.0001, 2, 12),
  );

  /** @returns tells of the step, which begins now, that it is through */
  begin(point: ExtensionPoint, profile: string): (status: StepStatus) => void {
    const began_ms = performance.now();
    return (status) => this.#times.observe((performance.now() - began_ms) / 1000, [point, status, profile]);
  }

  families(): Family[] {
    return [this.#times.family()];
  }
}

/** The steps of one profile's pods. */
export type StepTimer = (point: ExtensionPoint) => (status: StepStatus) => void;

export const untimed: StepTimer = () => () => undefined;
