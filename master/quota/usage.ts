import type { KubeObject } from "#shared/api/object.ts";
import { zeroQuantity } from "#shared/api/quantity.ts";
import type { ResourceQuota } from "#shared/api/types/core-v1.generated.ts";
import { only, type QuotaAmounts, sum } from "./amounts.ts";
import { type CountedResource, countedResources, evaluatorFor, type QuotaEvaluator } from "./evaluators.ts";
import { scopesOf } from "./scopes.ts";

/** Whether the quota is for such objects: it limits something that they count towards, and all its scopes fit. */
export function appliesTo(quota: ResourceQuota, evaluator: QuotaEvaluator, object: KubeObject): boolean {
  const names = Object.keys(quota.status?.hard ?? {});
  return names.some((name) => evaluator.counts(name)) && inScopes(quota, evaluator, object);
}

/** All objects of a resource in a namespace, or how many there are where that is all that a quota asks. */
export type CountedObjects = Iterable<KubeObject> | number;

/** What is used of everything that a quota limits, counted anew. Of a resource that `list` knows nothing of, nothing is told
 *  either. */
export function usedBy(
  quota: ResourceQuota,
  list: (resource: CountedResource) => CountedObjects | undefined,
  now_ms: number = Date.now(),
): QuotaAmounts {
  const names = Object.keys(quota.spec.hard ?? {});
  let used: QuotaAmounts = new Map();
  for (const resource of countedResources(names)) {
    const evaluator = evaluatorFor(resource);
    const objects = list(resource);
    if (!evaluator || objects === undefined) continue;
    used = sum(used, new Map(names.filter((name) => evaluator.counts(name)).map((name) => [name, zeroQuantity])));
    if (typeof objects === "number") {
      if (scopesOf(quota).length === 0) used = sum(used, only(evaluator.usageOf?.(objects) ?? new Map(), names));
      continue;
    }
    for (const object of objects)
      if (inScopes(quota, evaluator, object)) used = sum(used, only(evaluator.usage(object, now_ms), names));
  }
  return used;
}

const inScopes = (quota: ResourceQuota, evaluator: QuotaEvaluator, object: KubeObject): boolean =>
  scopesOf(quota).every((scope) => evaluator.matchesScope(scope, object));
