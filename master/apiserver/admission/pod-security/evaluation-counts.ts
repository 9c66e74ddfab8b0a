/** How often pods were held to a Pod Security Standard, under upstream's name. */
import { CounterTable } from "#shared/metrics/tables.ts";
import type { AdmissionAttributes } from "../admission.ts";
import type { LevelVersion } from "./levels.ts";

export type PolicyMode = "enforce" | "audit" | "warn";

export const podSecurityEvaluations = new CounterTable({
  name: "pod_security_evaluations_total",
  help: "Pods and what makes pods, by how they were judged.",
  labels: ["decision", "mode", "policy_level", "policy_version", "request_operation", "resource", "subresource"],
});

export function countEvaluation(
  decision: "allow" | "deny",
  mode: PolicyMode,
  { level, version }: LevelVersion,
  attributes: AdmissionAttributes,
): void {
  podSecurityEvaluations.add([
    decision,
    mode,
    level,
    // The level that forbids nothing is the same in every version.
    version === "latest" || level === "privileged" ? "latest" : `v1.${version}`,
    ...requestLabels(attributes),
  ]);
}

export const podSecurityExemptions = new CounterTable({
  name: "pod_security_exemptions_total",
  help: "Pods and what makes pods that were not judged for whose they are.",
  labels: ["request_operation", "resource", "subresource"],
});

export const countExemption = (attributes: AdmissionAttributes): void =>
  podSecurityExemptions.add(requestLabels(attributes));

const requestLabels = ({ operation, declaration, subresource = "" }: AdmissionAttributes): string[] => [
  operation.toLowerCase(),
  declaration.ref.plural === "pods" ? "pod" : "controller",
  subresource,
];
