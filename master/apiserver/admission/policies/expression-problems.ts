/** What is wrong with the expressions of policies and webhook configurations, for their validation. */

import type { ValidatingAdmissionPolicy } from "#shared/api/types/admissionregistration-v1.generated.ts";
import { CompileError, Program } from "#shared/cel/program.ts";
import { bool } from "#shared/cel/types.ts";
import { type ExpressionFault, faultOf } from "../../resources/validation/expression-fault.ts";
import { admissionEnvironment } from "./environment.ts";
import { compilePolicy, isFault } from "./policy.ts";

const plain = admissionEnvironment({ authorizer: true });
const parameterised = admissionEnvironment({ authorizer: true, params: true });

/** Of a match condition; undefined where it compiles and gives a bool. */
export function conditionProblem(expression: string, hasParams: boolean): ExpressionFault | undefined {
  try {
    const program = Program.compile(expression, hasParams ? parameterised : plain);
    if (program.givesExactly(bool)) return undefined;
    return { problem: `must evaluate to bool but got ${program.typeName}` };
  } catch (error) {
    if (error instanceof CompileError) return faultOf(error);
    throw error;
  }
}

export interface ExpressionProblem extends ExpressionFault {
  /** Names and indexes from the spec down. */
  readonly path: readonly (string | number)[];
  readonly expression: string;
}

/** Of a policy's variables, validations and audit annotations. */
export function policyProblems(policy: ValidatingAdmissionPolicy): ExpressionProblem[] {
  const { spec } = policy;
  const compiled = compilePolicy(policy);
  const problems: ExpressionProblem[] = [];
  for (const [index, { name, expression }] of (spec.variables ?? []).entries()) {
    const fault = compiled.variableFaults.get(name);
    if (fault && expression?.trim()) problems.push({ path: ["variables", index, "expression"], expression, ...fault });
  }
  for (const [index, { expression, messageExpression = "" }] of (spec.validations ?? []).entries()) {
    const { rule, message } = compiled.validations[index] ?? {};
    if (rule && isFault(rule) && expression?.trim()) {
      problems.push({ path: ["validations", index, "expression"], expression, ...rule });
    }
    if (message && isFault(message) && messageExpression.trim()) {
      problems.push({
        path: ["validations", index, "messageExpression"],
        expression: messageExpression,
        ...message,
      });
    }
  }
  for (const [index, { valueExpression }] of (spec.auditAnnotations ?? []).entries()) {
    const { value } = compiled.audits[index] ?? {};
    if (value && isFault(value) && valueExpression?.trim()) {
      problems.push({
        path: ["auditAnnotations", index, "valueExpression"],
        expression: valueExpression,
        ...value,
      });
    }
  }
  return problems;
}
