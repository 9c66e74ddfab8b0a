/** matchConditions of webhooks and policies. */
import type { MatchCondition } from "#shared/api/types/admissionregistration-v1.generated.ts";
import type { AdmissionAttributes } from "../admission.ts";
import type { Match } from "../matching.ts";

/** Some condition could not be evaluated, and none was false. */
export class ConditionError extends Error {
  override readonly name = "ConditionError";
}

export interface Conditions {
  /** True when all hold, false when one does not. Throws ConditionError. */
  hold(conditions: readonly MatchCondition[], attributes: AdmissionAttributes, match: Match): Promise<boolean>;
}
