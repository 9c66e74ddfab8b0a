/** matchConditions of authorization webhooks: CEL over the SubjectAccessReview that would be sent. */
import { joinErrors } from "#shared/api/joined-errors.ts";
import type { SubjectAccessReviewSpec } from "#shared/api/types/authorization-v1.generated.ts";
import type { Environment } from "#shared/cel/checker.ts";
import { CostExceeded } from "#shared/cel/frame.ts";
import { FunctionTable } from "#shared/cel/functions.ts";
import { kubernetesLibrary } from "#shared/cel/kubernetes-library.ts";
import { CompileError, Program } from "#shared/cel/program.ts";
import { standardLibrary } from "#shared/cel/standard-library.ts";
import { listOf, mapOf, objectOf, string } from "#shared/cel/types.ts";
import { CelError, fromJson } from "#shared/cel/values.ts";
import type { Field } from "../resources/validation/field.ts";

const MOST_CONDITIONS = 64;
/** Of one expression (apiserver's apis/cel/config.go: PerCallLimit). */
const COST_LIMIT = 1_000_000;

const requirement = objectOf("kubernetes.SelectorRequirement", {
  key: string,
  operator: string,
  values: listOf(string),
});
const selector = (name: string) => objectOf(name, { rawSelector: string, requirements: listOf(requirement) });
const reviewType = objectOf("kubernetes.SubjectAccessReviewSpec", {
  resourceAttributes: objectOf("kubernetes.ResourceAttributes", {
    namespace: string,
    verb: string,
    group: string,
    version: string,
    resource: string,
    subresource: string,
    name: string,
    fieldSelector: selector("kubernetes.FieldSelectorAttributes"),
    labelSelector: selector("kubernetes.LabelSelectorAttributes"),
  }),
  nonResourceAttributes: objectOf("kubernetes.NonResourceAttributes", { path: string, verb: string }),
  user: string,
  groups: listOf(string),
  extra: mapOf(string, listOf(string)),
  uid: string,
});
const environment: Environment = {
  variables: new Map([["request", reviewType]]),
  functions: new FunctionTable(standardLibrary, kubernetesLibrary),
};

/** Some condition could not be evaluated, and none was false. */
class MatchError extends Error {
  override readonly name = "MatchError";
}

/** Compiles the expressions; faults are reported at the field, and what is made then is not to be used. */
export function compileMatchConditions(
  conditions: readonly { readonly expression?: string }[],
  field: Field,
): readonly Program[] {
  if (conditions.length > MOST_CONDITIONS) field.tooMany(conditions.length, MOST_CONDITIONS);
  const seen = new Set<string>();
  return conditions.slice(0, MOST_CONDITIONS).flatMap(({ expression = "" }, index) => {
    const at = field.index(index).at("expression");
    const isNew = !seen.has(expression);
    seen.add(expression);
    if (expression.trim() === "") at.required();
    else if (!isNew) at.duplicate(expression);
    else return compiled(expression, at);
    return [];
  });
}

function compiled(expression: string, field: Field): Program[] {
  try {
    const program = Program.compile(expression, environment);
    if (program.typeName === "bool") return [program];
    field.invalid(expression, `must evaluate to bool but got ${program.typeName}`);
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    field.invalid(expression, error.told);
  }
  return [];
}

/** Whether all hold: one that is false decides, whatever failed before. Throws MatchError. */
export function allMatch(programs: readonly Program[], spec: SubjectAccessReviewSpec): boolean {
  if (programs.length === 0) return true;
  const request = fromJson(shown(spec), reviewType);
  const failures: string[] = [];
  for (const program of programs) {
    try {
      const value = program.run((name) => (name === "request" ? request : undefined), COST_LIMIT);
      if (value !== true) return false;
    } catch (error) {
      if (!(error instanceof CelError || error instanceof CostExceeded)) throw error;
      failures.push(`cel evaluation error: expression '${program.source}' resulted in error: ${error.message}`);
    }
  }
  if (failures.length === 0) return true;
  throw new MatchError(joinErrors(failures));
}

/** With the texts that a review leaves out when they are empty. */
function shown({ user = "", uid = "", groups = [], extra = {}, ...asked }: SubjectAccessReviewSpec): object {
  const none = { namespace: "", verb: "", group: "", version: "", resource: "", subresource: "", name: "" };
  const { resourceAttributes, nonResourceAttributes } = asked;
  return {
    user,
    uid,
    groups,
    extra,
    ...(resourceAttributes ? { resourceAttributes: { ...none, ...resourceAttributes } } : {}),
    ...(nonResourceAttributes ? { nonResourceAttributes: { path: "", verb: "", ...nonResourceAttributes } } : {}),
  };
}
