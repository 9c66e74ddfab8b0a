import type { NodeSelector, NodeSelectorRequirement, NodeSelectorTerm } from "#shared/api/types/core-v1.generated.ts";
import type { LabelSelector, LabelSelectorRequirement } from "#shared/api/types/meta-v1.generated.ts";
import type { Field } from "./field.ts";
import { isDns1123Subdomain, isLabelValue } from "./names.ts";
import { validateLabelName, validateLabels } from "./object-meta.ts";

/** `tolerant` accepts values that are no label values: for fields that always did. Any other text names the rule that they are
 *  judged by where they once were not. */
export function validateLabelSelector(selector: LabelSelector | undefined, field: Field, tolerant?: string): void {
  if (selector === undefined) return;
  validateLabels(selector.matchLabels, field.at("matchLabels"));
  for (const [index, requirement] of (selector.matchExpressions ?? []).entries()) {
    validateRequirement(requirement, field.at("matchExpressions").index(index), tolerant);
  }
}

function validateRequirement(requirement: LabelSelectorRequirement, field: Field, tolerant?: string): void {
  const { key = "", operator = "", values = [] } = requirement;
  validateOperands(operator, values, field, []);
  validateLabelName(key, field.at("key"));
  validateValues(values, field, tolerant);
}

function validateValues(values: readonly string[], field: Field, tolerant?: string): void {
  if (tolerant === "tolerant") return;
  const at = tolerant ? field.at("values").ruled(tolerant) : field.at("values");
  for (const [index, value] of values.entries()) at.index(index).invalidEach(value, isLabelValue(value));
}

/** Values go with the operator. False for an operator that is not known. */
export function validateKnownOperands(operator: string, values: readonly string[], field: Field): boolean {
  if (operator === "In" || operator === "NotIn") {
    if (values.length === 0) field.at("values").required("must be specified when `operator` is 'In' or 'NotIn'");
    return true;
  }
  if (operator !== "Exists" && operator !== "DoesNotExist") return false;
  if (values.length > 0)
    field.at("values").forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
  return true;
}

function validateOperands(operator: string, values: readonly string[], field: Field, single: readonly string[]): void {
  if (validateKnownOperands(operator, values, field)) return;
  if (single.includes(operator)) {
    if (values.length !== 1) {
      field.at("values").required("must be specified single value when `operator` is 'Lt' or 'Gt'");
    }
  } else field.at("operator").invalid(operator, "not a valid selector operator");
}

function validateNodeRequirement(
  { key = "", operator = "", values = [] }: NodeSelectorRequirement,
  field: Field,
  tolerant?: string,
): void {
  validateOperands(operator, values, field, ["Gt", "Lt"]);
  validateLabelName(key, field.at("key"));
  validateValues(values, field, tolerant);
}

function validateNodeFieldRequirement(
  { key = "", operator = "", values = [] }: NodeSelectorRequirement,
  field: Field,
): void {
  if (operator !== "In" && operator !== "NotIn")
    field.at("operator").invalid(operator, "not a valid selector operator");
  else if (values.length !== 1) {
    field.at("values").required("must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
  }
  if (key !== "metadata.name") field.at("key").invalid(key, "not a valid field selector key");
  else {
    for (const [index, value] of values.entries()) {
      field.at("values").index(index).invalidEach(value, isDns1123Subdomain(value));
    }
  }
}

export function validateNodeSelectorTerm(term: NodeSelectorTerm, field: Field, tolerant?: string): void {
  for (const [index, requirement] of (term.matchExpressions ?? []).entries()) {
    validateNodeRequirement(requirement, field.at("matchExpressions").index(index), tolerant);
  }
  for (const [index, requirement] of (term.matchFields ?? []).entries()) {
    validateNodeFieldRequirement(requirement, field.at("matchFields").index(index));
  }
}

export function validateNodeSelector(selector: NodeSelector, field: Field, tolerant?: string): void {
  const terms = field.at("nodeSelectorTerms");
  if (!selector.nodeSelectorTerms?.length) {
    terms.required("must have at least one node selector term");
    return;
  }
  for (const [index, term] of selector.nodeSelectorTerms.entries())
    validateNodeSelectorTerm(term, terms.index(index), tolerant);
}

/** Whether a selector picks objects with these labels. Both are taken as valid. */
export function selects(
  selector: LabelSelector | undefined,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  const has = (key: string): boolean => labels !== undefined && Object.hasOwn(labels, key);
  return (
    Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => has(key) && labels?.[key] === value) &&
    (selector?.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
      if (operator === "Exists") return has(key);
      if (operator === "DoesNotExist") return !has(key);
      const isIn = has(key) && values.includes(labels?.[key] ?? "");
      return operator === "In" ? isIn : !isIn;
    })
  );
}

export function isEmptySelector(selector: LabelSelector | undefined): boolean {
  return Object.keys(selector?.matchLabels ?? {}).length === 0 && !selector?.matchExpressions?.length;
}
