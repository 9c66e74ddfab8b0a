/** How long all mutating plugins take with a write, and all validating ones, under upstream's names. */
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { type Histogram, HistogramTable, type Summary, SummaryTable } from "#shared/metrics/tables.ts";
import type { Operation } from "./admission.ts";

export type AdmissionStep = "admit" | "validate";

const labels = ["operation", "rejected", "type"];
const times = new HistogramTable(
  {
    name: "apiserver_admission_step_admission_duration_seconds",
    help: "How long all plugins of a step took together.",
    labels,
  },
  [0.005, 0.025, 0.1, 0.5, 1, 2.5],
);
const summaries = new SummaryTable({
  name: "apiserver_admission_step_admission_duration_seconds_summary",
  help: "The same, as a summary of the last hours.",
  labels,
});

interface StepTimes {
  readonly histogram: Histogram;
  readonly summary: Summary;
}

/** Of steps that refused nothing: every write looks two of these up. */
const usual: Readonly<Record<AdmissionStep, Map<Operation, StepTimes>>> = { admit: new Map(), validate: new Map() };

/** @param began_ms by performance.now() */
export function stepEnded(step: AdmissionStep, operation: Operation, rejected: boolean, began_ms: number): void {
  let found = rejected ? undefined : usual[step].get(operation);
  if (!found) {
    const values = [operation, String(rejected), step];
    found = { histogram: times.of(values), summary: summaries.of(values) };
    if (!rejected) usual[step].set(operation, found);
  }
  const took_s = (performance.now() - began_ms) / 1000;
  found.histogram.observe(took_s);
  found.summary.observe(took_s);
}

export const admissionStepFamilies = (): Family[] => [times.family(), summaries.family()];
