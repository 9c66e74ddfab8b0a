import { resourceQuotas } from "#shared/api/resources.ts";
import type {
  ResourceQuota,
  ResourceQuotaSpec,
  ScopedResourceSelectorRequirement,
} from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, nameColumn } from "../columns.ts";
import { status } from "../subresources.ts";
import { collect, type Field, immutableMessage } from "../validation/field.ts";
import {
  type Amounts,
  isStandardQuotaResource,
  validateAmount,
  validateQuotaResourceName,
} from "../validation/quantities.ts";

const isLimit = (resource: string): boolean => resource.startsWith("limits.");

function usage(quota: ResourceQuota, ofLimits: boolean): string {
  const { hard = {}, used = {} } = quota.status ?? {};
  return Object.keys(hard)
    .sort()
    .filter((resource) => isLimit(resource) === ofLimits)
    .map((resource) => `${resource}: ${used[resource] ?? "0"}/${hard[resource]}`)
    .join(", ");
}

const podScopes = ["Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity"];
const knownScopes = [...podScopes, "BestEffort", "VolumeAttributesClass"];
const existsOnly = ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"];
const computeResources = ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];

/** Whether what a quota counts exists in the scope. */
function isScopeValid(scope: string, resource: string): boolean {
  if (podScopes.includes(scope)) return resource === "pods" || computeResources.includes(resource);
  if (scope === "BestEffort") return resource === "pods";
  if (scope === "VolumeAttributesClass")
    return resource === "persistentvolumeclaims" || resource === "requests.storage";
  return true;
}

function validateAmounts(amounts: Amounts | undefined, field: Field): void {
  for (const [name, amount] of Object.entries(amounts ?? {})) {
    validateQuotaResourceName(name, field.key(name));
    validateAmount(name, amount, field.key(name));
  }
}

function validateScopes(
  spec: ResourceQuotaSpec,
  scopes: readonly string[],
  shown: unknown,
  field: Field,
  nameField: Field,
): void {
  const counted = Object.keys(spec.hard ?? {})
    .sort()
    .filter(isStandardQuotaResource);
  for (const scope of scopes) {
    if (!knownScopes.includes(scope)) nameField.invalid(nameField === field ? shown : scope, "unsupported scope");
    for (const name of counted) {
      if (!isScopeValid(scope, name)) field.invalid(shown, "unsupported scope applied to resource");
    }
  }
}

function validateConflicts(scopes: readonly string[], shown: unknown, field: Field): void {
  for (const pair of [
    ["BestEffort", "NotBestEffort"],
    ["Terminating", "NotTerminating"],
  ]) {
    if (pair.every((scope) => scopes.includes(scope))) field.invalid(shown, "conflicting scopes");
  }
}

const shownSelector = (requirements: readonly ScopedResourceSelectorRequirement[]) => ({
  MatchExpressions: requirements.map(({ scopeName, operator, values }) => ({
    ScopeName: scopeName,
    Operator: operator,
    Values: values ?? null,
  })),
});

function validateSpec(spec: ResourceQuotaSpec, field: Field): void {
  validateAmounts(spec.hard, field.at("hard"));
  const { scopes = [], scopeSelector } = spec;
  const at = field.at("scopes");
  validateScopes(spec, scopes, scopes, at, at);
  validateConflicts(scopes, scopes, at);
  if (scopeSelector === undefined) return;
  const place = field.at("scopeSelector", "matchExpressions");
  const requirements = scopeSelector.matchExpressions ?? [];
  const shown = shownSelector(requirements);
  for (const requirement of requirements) {
    const { scopeName, operator, values = [] } = requirement;
    validateScopes(spec, [scopeName], shown, place, place.at("scopeName"));
    if (existsOnly.includes(scopeName) && operator !== "Exists") {
      place
        .at("operator")
        .invalid(
          operator,
          "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
        );
    }
    if (operator === "In" || operator === "NotIn") {
      if (values.length === 0) {
        place.at("values").required("must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
      }
    } else if (operator !== "Exists" && operator !== "DoesNotExist") {
      place.at("operator").invalid(operator, "not a valid selector operator");
    } else if (values.length > 0) {
      place
        .at("values")
        .invalid(values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector");
    }
  }
  validateConflicts(
    requirements.map(({ scopeName }) => scopeName),
    scopes,
    place,
  );
}

export const resourceQuota: ResourceDeclaration<ResourceQuota> = {
  ref: resourceQuotas,
  shortNames: ["quota"],
  subresources: { status },
  columns: [
    nameColumn,
    column("Request", (quota) => usage(quota, false)),
    column("Limit", (quota) => usage(quota, true)),
    ageColumn,
  ],
  strategy: {
    answersDeleteWithObject: true,
    hasStatus: true,
    applyDefaults(draft) {
      draft.spec ??= {};
    },
    prepareForCreate(draft) {
      draft.status = {};
    },
    validate: (quota) => collect((root) => validateSpec(quota.spec, root.at("spec"))),
    validateUpdate: (quota, old) =>
      collect((root) => {
        validateSpec(quota.spec, root.at("spec"));
        const [after, before] = [new Set(quota.spec.scopes), new Set(old.spec.scopes)];
        if (after.symmetricDifference(before).size > 0) {
          root.at("spec", "scopes").invalid(quota.spec.scopes ?? null, immutableMessage);
        }
      }),
    validateStatusUpdate: ({ status: seen }) =>
      collect((root) => {
        validateAmounts(seen?.hard, root.at("status", "hard"));
        validateAmounts(seen?.used, root.at("status", "used"));
      }),
  },
};
