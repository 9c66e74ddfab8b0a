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
import type { CountedResource, QuotaEvaluator, QuotaWrite } from "./evaluators.ts";
import { describeScopes, type LimitedResource, namesWithoutQuota, scopesWithoutQuota } from "./limited-resources.ts";
import { appliesTo } from "./usage.ts";

/** What a write does to a namespace's quotas: those whose use grows, with their new status; or why it may not be, which
 *  upstream tells as an error of the server where it is about `uncovered` scopes. */
export type QuotaVerdict =
  | { readonly kind: "allowed"; readonly grown: readonly ResourceQuota[] }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "uncovered"; readonly why: string };

export interface QuotaRules {
  readonly resource: CountedResource;
  readonly evaluator: QuotaEvaluator;
  /** What may be used only where a quota speaks of it. */
  readonly limits?: readonly LimitedResource[] | undefined;
}

/** What a write adds to a quota that it counts for. */
interface Charge {
  readonly quota: ResourceQuota;
  readonly more: QuotaAmounts;
}

const refused = (why: string): QuotaVerdict => ({ kind: "refused", why });
const allowed = (grown: readonly ResourceQuota[]): QuotaVerdict => ({ kind: "allowed", grown });

/** Decides on one write by quotas as they stand. */
export function checkQuotas(
  quotas: readonly ResourceQuota[],
  rules: QuotaRules,
  write: QuotaWrite,
  now_ms: number,
): QuotaVerdict {
  const { evaluator, limits = [] } = rules;
  const { object } = write;
  if (!evaluator.concerns(write)) return allowed([]);
  const concerned = quotas.filter((quota) => appliesTo(quota, evaluator, object));
  const problem = concerned.map((quota) => unfitness(quota, evaluator, object)).find((why) => why !== undefined);
  if (problem) return refused(problem);
  if (concerned.length === 0 && limits.length === 0) return allowed([]);
  const usage = evaluator.usage(object, now_ms);
  const negative = negativeNames(usage);
  if (negative.length > 0) return refused(`quota usage is negative for resource(s): ${negative.sort().join(",")}`);

  const charges = concerned.map((quota) => ({
    quota,
    more: withoutZeros(addedBy(write, (before) => appliesTo(quota, evaluator, before), evaluator, usage, now_ms)),
  }));
  const added =
    charges.length > 0 ? charges : [{ more: withoutZeros(addedBy(write, () => true, evaluator, usage, now_ms)) }];
  if (added.every(({ more }) => more.size === 0)) return allowed([]);
  return uncovered(quotas, concerned, rules, object, usage) ?? charged(charges, write);
}

/** Why a quota that an object counts for cannot take it, whatever is left. */
function unfitness(quota: ResourceQuota, evaluator: QuotaEvaluator, object: KubeObject): string | undefined {
  const name = quota.metadata.name ?? "";
  const limited = limitedNames(quota, evaluator);
  const problem = evaluator.constraint?.(limited, object);
  if (problem) return `failed quota: ${name}: ${problem}`;
  if (limited.every((each) => quota.status?.used?.[each] !== undefined)) return undefined;
  return `status unknown for quota: ${name}, resources: ${limited.sort().join(",")}`;
}

const limitedNames = (quota: ResourceQuota, evaluator: QuotaEvaluator): string[] =>
  Object.keys(quota.status?.hard ?? {}).filter((each) => evaluator.counts(each));

/** The refusal of what is limited and in no quota. */
function uncovered(
  quotas: readonly ResourceQuota[],
  concerned: readonly ResourceQuota[],
  { resource, evaluator, limits = [] }: QuotaRules,
  object: KubeObject,
  usage: QuotaAmounts,
): QuotaVerdict | undefined {
  const inQuotas = new Set(concerned.flatMap((quota) => limitedNames(quota, evaluator)));
  const names = namesWithoutQuota(limits, resource, usage, inQuotas);
  if (names.length > 0) return refused(`insufficient quota to consume: ${names.join(",")}`);
  const scopes = scopesWithoutQuota(limits, quotas, evaluator, object);
  if (scopes.length === 0) return undefined;
  return { kind: "uncovered", why: `insufficient quota to match these scopes: ${describeScopes(scopes)}` };
}

function charged(charges: readonly Charge[], { subresource }: QuotaWrite): QuotaVerdict {
  const grown: ResourceQuota[] = [];
  for (const { quota, more: added } of charges) {
    const more = only(added, Object.keys(quota.status?.hard ?? {}));
    if (more.size === 0) continue;
    const used = amountsIn(quota.status?.used);
    const after = sum(used, more);
    const hard = amountsIn(quota.status?.hard);
    const exceeded = subresource === "status" ? [] : namesAbove(only(after, more.keys()), hard);
    if (exceeded.length > 0)
      return refused(
        `exceeded quota: ${quota.metadata.name}, requested: ${describeAmounts(only(more, exceeded))}, ` +
          `used: ${describeAmounts(only(used, exceeded))}, limited: ${describeAmounts(only(hard, exceeded))}`,
      );
    grown.push({ ...quota, status: { ...quota.status, used: listOf(after) } });
  }
  return allowed(grown);
}

/** What a write adds: on an update only what is more than before, if the object counted before. */
function addedBy(
  { operation, oldObject }: QuotaWrite,
  didCount: (object: KubeObject) => boolean,
  evaluator: QuotaEvaluator,
  usage: QuotaAmounts,
  now_ms: number,
): QuotaAmounts {
  const counted: KubeObject | undefined = operation === "UPDATE" ? oldObject : undefined;
  if (!counted || !didCount(counted)) return usage;
  return growth(usage, evaluator.usage(counted, now_ms));
}
