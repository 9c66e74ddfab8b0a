/** Which requests a webhook or policy is asked about. */

import type {
  MatchCondition,
  MatchResources,
  NamedRuleWithOperations,
  RuleWithOperations,
} from "#shared/api/types/admissionregistration-v1.generated.ts";
import { conditionProblem } from "../../admission/policies/expression-problems.ts";
import { tellFault } from "../validation/expression-fault.ts";
import { each, type Field, oneOf } from "../validation/field.ts";
import { isPathSegment, isQualifiedName } from "../validation/names.ts";
import { validateLabelSelector } from "../validation/selectors.ts";

export const failurePolicies = ["Fail", "Ignore"];
export const matchPolicies = ["Equivalent", "Exact"];
const operations = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const scopes = ["*", "Cluster", "Namespaced"];
const maxConditions = 64;

export function applyRuleDefaults(rules: readonly RuleWithOperations[] = []): void {
  for (const rule of rules) rule.scope ??= "*";
}

export function applyMatchDefaults(match: MatchResources): void {
  match.matchPolicy ??= "Equivalent";
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  applyRuleDefaults(match.resourceRules);
  applyRuleDefaults(match.excludeResourceRules);
}

export function validateRule(rule: RuleWithOperations, field: Field): void {
  const { operations: given = [], apiGroups = [], apiVersions = [], resources = [], scope } = rule;
  validateAlone(given, "operations", field.at("operations"));
  each(given, field.at("operations"), (operation, at) => oneOf(operation, operations, at));
  validateAlone(apiGroups, "API groups", field.at("apiGroups"));
  validateAlone(apiVersions, "API versions", field.at("apiVersions"));
  each(apiVersions, field.at("apiVersions"), (version, at) => {
    if (version === "") at.required();
  });
  validateResources(resources, field.at("resources"));
  if (scope !== undefined) oneOf(scope, scopes, field.at("scope"));
}

/** A list with something in it, where `*` stands alone. */
function validateAlone(list: readonly string[], others: string, field: Field): void {
  if (list.length === 0) field.required();
  if (list.length > 1 && list.includes("*")) field.invalid(list, `if '*' is present, must not specify other ${others}`);
}

function validateResources(resources: readonly string[], field: Field): void {
  if (resources.length === 0) field.required();
  const wholeResources = new Set<string>();
  const wholeSubresources = new Set<string>();
  let last = false;
  each(resources, field, (text, at) => {
    if (text === "") {
      at.required();
      return;
    }
    const slash = text.indexOf("/");
    if (slash < 0) {
      last = text !== "*";
      return;
    }
    const [resource, subresource] = [text.slice(0, slash), text.slice(slash + 1)];
    if (wholeResources.has(resource)) at.invalid(text, `if '${resource}/*' is present, must not specify ${text}`);
    if (wholeSubresources.has(subresource))
      at.invalid(text, `if '*/${subresource}' is present, must not specify ${text}`);
    if (subresource === "*") wholeResources.add(resource);
    if (resource === "*") wholeSubresources.add(subresource);
  });
  if (resources.length > 1 && resources.includes("*/*"))
    field.invalid(resources, "if '*/*' is present, must not specify other resources");
  // Upstream looks at the last one without a subresource only.
  if (resources.includes("*") && last)
    field.invalid(resources, "if '*' is present, must not specify other resources without subresources");
}

export function validateMatchResources(match: MatchResources, field: Field): void {
  if (match.matchPolicy === undefined) field.at("matchPolicy").required();
  else oneOf(match.matchPolicy, matchPolicies, field.at("matchPolicy"));
  for (const name of ["namespaceSelector", "objectSelector"] as const) {
    if (match[name] === undefined) field.at(name).required();
    else validateLabelSelector(match[name], field.at(name));
  }
  each(match.resourceRules, field.at("resourceRules"), validateNamedRule);
  each(match.excludeResourceRules, field.at("excludeResourceRules"), validateNamedRule);
}

function validateNamedRule(rule: NamedRuleWithOperations, field: Field): void {
  const seen = new Set<string>();
  each(rule.resourceNames, field.at("resourceNames"), (name, at) => {
    at.invalidEach(name, isPathSegment(name));
    if (seen.has(name)) at.duplicate(name);
    seen.add(name);
  });
  validateRule(rule, field);
}

/** `hasParams`: expressions may name `params`. */
export function validateMatchConditions(
  conditions: readonly MatchCondition[] = [],
  field: Field,
  hasParams = false,
): void {
  if (conditions.length > maxConditions) field.tooMany(conditions.length, maxConditions);
  const seen = new Set<string>();
  each(conditions, field, ({ name, expression }, at) => {
    if (!expression?.trim()) at.at("expression").required();
    else {
      const fault = conditionProblem(expression, hasParams);
      if (fault) tellFault(expression.trim(), fault, at.at("expression"));
    }
    if (!name) at.at("name").required();
    else {
      at.at("name").invalidEach(name, isQualifiedName(name));
      if (seen.has(name)) at.at("name").duplicate(name);
      seen.add(name);
    }
  });
}
