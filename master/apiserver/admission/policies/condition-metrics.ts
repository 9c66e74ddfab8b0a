/** What match conditions come to, under upstream's names. */
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable, HistogramTable } from "#shared/metrics/tables.ts";
import type { Operation } from "../admission.ts";

const prefix = "apiserver_admission_match_condition";
const labels = ["name", "kind", "type", "operation"];

const errors = new CounterTable({
  name: `${prefix}_evaluation_errors_total`,
  help: "Match conditions that could not be evaluated.",
  labels,
});
const exclusions = new CounterTable({
  name: `${prefix}_exclusions_total`,
  help: "Writes that a webhook was not asked about for its match conditions.",
  labels,
});
const durations = new HistogramTable(
  { name: `${prefix}_evaluation_seconds`, help: "How long all match conditions of one took.", labels },
  [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25],
);

/** Whose conditions they are. */
export interface ConditionsOf {
  readonly name: string;
  readonly kind: "webhook" | "policy";
  readonly type: "admit" | "validating" | "validate";
  readonly operation: Operation;
}

const valuesOf = ({ name, kind, type, operation }: ConditionsOf): string[] => [name, kind, type, operation];

export const conditionFailed = (of: ConditionsOf): void => errors.add(valuesOf(of));
export const conditionsExcluded = (of: ConditionsOf): void => exclusions.add(valuesOf(of));

/**
 * Told where not all held, as upstream does.
 * @param began_ms by performance.now()
 */
export const conditionsEvaluated = (of: ConditionsOf, began_ms: number): void =>
  durations.observe((performance.now() - began_ms) / 1000, valuesOf(of));

export const conditionFamilies = (): Family[] => [errors, exclusions, durations].map((each) => each.family());
