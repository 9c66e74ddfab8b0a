/** What ValidatingAdmissionPolicies found wrong, and what MutatingAdmissionPolicies did, under upstream's names. */
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { CounterTable, HistogramTable } from "#shared/metrics/tables.ts";

const prefix = "apiserver_validating_admission_policy_check";
const bounds = [0.0000005, 0.001, 0.01, 0.1, 1];
const labels = ["policy", "policy_binding", "error_type", "enforcement_action"];

const checks = new CounterTable({
  name: `${prefix}_total`,
  help: "Validations that did not hold, by what their bindings do about it.",
  labels,
});
const durations = new HistogramTable(
  { name: `${prefix}_duration_seconds`, help: "How long those validations took.", labels },
  bounds,
);

const mutating = "apiserver_mutating_admission_policy_check";
const mutatingLabels = ["policy", "policy_binding", "error_type"];
const mutations = new CounterTable({
  name: `${mutating}_total`,
  help: "Mutations that were made or failed.",
  labels: mutatingLabels,
});
const mutationDurations = new HistogramTable(
  { name: `${mutating}_duration_seconds`, help: "How long those mutations took.", labels: mutatingLabels },
  bounds,
);

/** @param seconds that the expression took */
export function policyChecked(
  policy: string,
  binding: string,
  message: string,
  action: "allow" | "deny" | "audit" | "warn",
  seconds: number,
): void {
  const values = [policy, binding, errorTypeOf(message), action];
  checks.add(values);
  durations.observe(seconds, values);
}

/** @param message of what failed; undefined: the object is as the mutation wants it */
export function mutationChecked(policy: string, binding: string, message: string | undefined, seconds: number): void {
  const values = [policy, binding, message === undefined ? "no_error" : errorTypeOf(message)];
  mutations.add(values);
  mutationDurations.observe(seconds, values);
}

/** Upstream's names for why one did not hold, told by its message; that it judged so is one of the last kind. */
function errorTypeOf(message: string): "compile_error" | "out_of_budget" | "invalid_error" {
  if (message.startsWith("compilation")) return "compile_error";
  if (message.startsWith("validation failed due to running out of cost budget")) return "out_of_budget";
  return "invalid_error";
}

export const policyFamilies = (): Family[] =>
  [checks, durations, mutations, mutationDurations].map((each) => each.family());
