/** What ValidatingAdmissionPolicies found wrong, under upstream's name. */
import { CounterTable } from "#shared/metrics/tables.ts";

export const policyChecks = new CounterTable({
  name: "apiserver_validating_admission_policy_check_total",
  help: "Validations that did not hold, by what their bindings do about it.",
  labels: ["policy", "policy_binding", "error_type", "enforcement_action"],
});

/** Upstream's names for why one did not hold, told by its message; that it judged so is one of the last kind. */
export function errorTypeOf(message: string): "compile_error" | "out_of_budget" | "invalid_error" {
  if (message.startsWith("compilation")) return "compile_error";
  if (message.startsWith("validation failed due to running out of cost budget")) return "out_of_budget";
  return "invalid_error";
}
