import type { LabelSelector } from "#shared/api/types/meta-v1.generated.ts";
import type { Field } from "../validation/field.ts";
import { isLabelValue, isQualifiedName } from "../validation/names.ts";
import { isEmptySelector, validateLabelSelector } from "../validation/selectors.ts";

/** The selector of a workload: there, valid, and picking something in particular. */
export function validateWorkloadSelector(selector: LabelSelector | undefined, kind: string, field: Field): void {
  if (selector === undefined) {
    field.required();
    return;
  }
  validateLabelSelector(selector, field);
  if (isEmptySelector(selector)) field.invalid(selector, `empty selector is invalid for ${kind}`);
}

const operators = ["In", "NotIn", "Exists", "DoesNotExist"];

/** Whether the selector can be evaluated at all; upstream then does not look at the template. */
export function isEvaluable(selector: LabelSelector | undefined): boolean {
  const isPair = (key: string, values: readonly string[]): boolean =>
    isQualifiedName(key).length === 0 && values.every((value) => isLabelValue(value).length === 0);
  if (!Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => isPair(key, [value]))) return false;
  return (selector?.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    if (!operators.includes(operator) || !isPair(key, values)) return false;
    return operator.endsWith("In") ? values.length > 0 : values.length === 0;
  });
}
