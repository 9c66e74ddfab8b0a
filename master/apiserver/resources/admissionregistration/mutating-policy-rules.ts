import type { MutatingAdmissionPolicy } from "#shared/api/types/admissionregistration-v1beta1.generated.ts";
import { applyMatchDefaults } from "./rule-rules.ts";

type Policy = MutatingAdmissionPolicy;

export function applyMutatingPolicyDefaults({ spec }: Policy): void {
  spec.failurePolicy ??= "Fail";
  if (spec.matchConstraints) applyMatchDefaults(spec.matchConstraints);
}
