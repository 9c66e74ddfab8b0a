/** How long rules of CustomResourceDefinitions take, under upstream's names. */
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { HistogramTable } from "#shared/metrics/tables.ts";

/** What Prometheus' clients begin with. */
const bounds_s = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const table = (what: string, help: string): HistogramTable =>
  new HistogramTable({ name: `apiserver_cel_${what}_duration_seconds`, help, labels: [] }, bounds_s);

export const ruleCompilations = table("compilation", "How long it took to compile a rule of a schema.");
export const ruleEvaluations = table("evaluation", "How long an object was judged by the rules of its schema.");

/** @param table of the kind of work */
export function timed<T>(table: HistogramTable, work: () => T): T {
  const began_ms = performance.now();
  try {
    return work();
  } finally {
    table.observe((performance.now() - began_ms) / 1000);
  }
}

export const ruleFamilies = (): Family[] => [ruleCompilations.family(), ruleEvaluations.family()];
