import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceQuota } from "#shared/api/types/core-v1.generated.ts";
import {
  amountsIn,
  describeAmounts,
  growth,
  listOf,
  namesAbove,
  negativeNames,
  only,
  type QuotaAmounts,
  sum,
  withoutZeros,
} from "./amounts.ts";
import type { QuotaEvaluator, QuotaWrite } from "./evaluators.ts";
import { appliesTo } from "./usage.ts";

/** What a write does to a namespace's quotas: those whose use grows, with their new status; or why it may not be. */
export type QuotaVerdict =
  | { readonly kind: "allowed"; readonly grown: readonly ResourceQuota[] }
  | { readonly kind: "refused"; readonly why: string };

const refused = (why: string): QuotaVerdict => ({ kind: "refused", why });

/** Decides on one write by quotas as they stand. */
export function checkQuotas(
  quotas: readonly ResourceQuota[],
  evaluator: QuotaEvaluator,
  write: QuotaWrite,
  now_ms: number,
): QuotaVerdict {
  if (!evaluator.concerns(write)) return { kind: "allowed", grown: [] };
  const { object } = write;
  const concerned: ResourceQuota[] = [];
  for (const quota of quotas) {
    if (!appliesTo(quota, evaluator, object)) continue;
    const name = quota.metadata.name ?? "";
    const limited = Object.keys(quota.status?.hard ?? {}).filter((each) => evaluator.counts(each));
    const problem = evaluator.constraint?.(limited, object);
    if (problem) return refused(`failed quota: ${name}: ${problem}`);
    if (limited.some((each) => quota.status?.used?.[each] === undefined))
      return refused(`status unknown for quota: ${name}, resources: ${limited.sort().join(",")}`);
    concerned.push(quota);
  }
  if (concerned.length === 0) return { kind: "allowed", grown: [] };
  const usage = evaluator.usage(object, now_ms);
  const negative = negativeNames(usage);
  if (negative.length > 0) return refused(`quota usage is negative for resource(s): ${negative.sort().join(",")}`);

  const grown: ResourceQuota[] = [];
  for (const quota of concerned) {
    const more = withoutZeros(
      only(addedBy(write, quota, evaluator, usage, now_ms), Object.keys(quota.status?.hard ?? {})),
    );
    if (more.size === 0) continue;
    const used = amountsIn(quota.status?.used);
    const after = sum(used, more);
    const hard = amountsIn(quota.status?.hard);
    const exceeded = write.subresource === "status" ? [] : namesAbove(only(after, more.keys()), hard);
    if (exceeded.length > 0)
      return refused(
        `exceeded quota: ${quota.metadata.name}, requested: ${describeAmounts(only(more, exceeded))}, ` +
          `used: ${describeAmounts(only(used, exceeded))}, limited: ${describeAmounts(only(hard, exceeded))}`,
      );
    grown.push({ ...quota, status: { ...quota.status, used: listOf(after) } });
  }
  return { kind: "allowed", grown };
}

/** What a write adds to one quota: on an update only what is more than before, if the object counted before. */
function addedBy(
  { operation, oldObject }: QuotaWrite,
  quota: ResourceQuota,
  evaluator: QuotaEvaluator,
  usage: QuotaAmounts,
  now_ms: number,
): QuotaAmounts {
  const counted: KubeObject | undefined = operation === "UPDATE" ? oldObject : undefined;
  if (!counted || !appliesTo(quota, evaluator, counted)) return usage;
  return growth(usage, evaluator.usage(counted, now_ms));
}
