/** What may be used only where a quota speaks of it: limitedResources of upstream's ResourceQuotaConfiguration. */
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceQuota, ScopedResourceSelectorRequirement } from "#shared/api/types/core-v1.generated.ts";
import type { QuotaAmounts } from "./amounts.ts";
import type { CountedResource, QuotaEvaluator } from "./evaluators.ts";
import { scopesOf } from "./scopes.ts";

export interface LimitedResource extends CountedResource {
  /** Parts of names that quotas use: what an object takes of such a name is limited. */
  readonly matchContains: readonly string[];
  /** Objects in these scopes are limited. */
  readonly matchScopes: readonly ScopedResourceSelectorRequirement[];
}

/** Names among `taken` that no quota has but must, in order. */
export function namesWithoutQuota(
  limits: readonly LimitedResource[],
  { group, plural }: CountedResource,
  taken: QuotaAmounts,
  inQuotas: ReadonlySet<string>,
): string[] {
  const parts = limits
    .filter((limit) => limit.group === group && limit.plural === plural)
    .flatMap(({ matchContains }) => matchContains);
  return [...taken]
    .filter(([name, { unscaled }]) => unscaled > 0n && parts.some((part) => name.includes(part)) && !inQuotas.has(name))
    .map(([name]) => name)
    .sort();
}

/** Limited scopes that the object is in and no quota of the namespace that it is in as well names. Scopes are told apart by
 *  their names alone, and are asked of whatever resource, as upstream does. */
export function scopesWithoutQuota(
  limits: readonly LimitedResource[],
  quotas: readonly ResourceQuota[],
  evaluator: QuotaEvaluator,
  object: KubeObject,
): ScopedResourceSelectorRequirement[] {
  const limited = limits.flatMap(({ matchScopes }) => matchScopes);
  const covered = new Set(
    quotas
      .flatMap(scopesOf)
      .filter((scope) => evaluator.matchesScope(scope, object))
      .map(({ scopeName }) => scopeName),
  );
  return limited.filter((scope) => evaluator.matchesScope(scope, object) && !covered.has(scope.scopeName));
}

/** As Go prints the structs. */
export const describeScopes = (scopes: readonly ScopedResourceSelectorRequirement[]): string =>
  `[${scopes.map(({ scopeName, operator, values = [] }) => `{${scopeName} ${operator} [${values.join(" ")}]}`).join(" ")}]`;
