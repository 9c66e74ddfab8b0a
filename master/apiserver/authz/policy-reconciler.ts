import { isAlreadyExists, isConflict, isNotFound } from "#shared/api/errors.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { clusterRoleBindings, clusterRoles, roleBindings, roles } from "#shared/api/resources.ts";
import type { ObjectMeta } from "#shared/api/types/meta-v1.generated.ts";
import type { AggregationRule, PolicyRule, RoleRef, Subject } from "#shared/api/types/rbac-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { BootstrapPolicy } from "./bootstrap-policy.ts";
import { inheritPolicy } from "./inherited-policy.ts";
import { missingRules } from "./rbac-rules.ts";

interface AnyRole {
  readonly metadata: ObjectMeta;
  readonly rules?: PolicyRule[] | undefined;
  readonly aggregationRule?: AggregationRule | undefined;
}

interface AnyBinding {
  readonly metadata: ObjectMeta;
  readonly subjects?: Subject[] | undefined;
  readonly roleRef: RoleRef;
}

const attempts = 5;
const writesAtOnce = 32;

/**
 * Makes the cluster's roles and bindings hold at least what `policy` says. What people added stays; what is annotated
 * `rbac.authorization.kubernetes.io/autoupdate: "false"` is left alone. A binding to another role is made anew.
 */
export async function reconcilePolicy(client: Client, policy: BootstrapPolicy): Promise<void> {
  await inheritPolicy(client, policy.clusterRoleBindings);
  const work = [
    ...policy.clusterRoles.map((role) => () => reconcile(client, clusterRoles, role, reconciledRole)),
    ...policy.roles.map((role) => () => reconcile(client, roles, role, reconciledRole)),
    ...policy.clusterRoleBindings.map(
      (binding) => () => reconcile(client, clusterRoleBindings, binding, reconciledBinding),
    ),
    ...policy.roleBindings.map((binding) => () => reconcile(client, roleBindings, binding, reconciledBinding)),
  ];
  // Together, so that a first start costs a slow card a few commits and not one for each.
  for (let from = 0; from < work.length; from += writesAtOnce)
    await Promise.all(work.slice(from, from + writesAtOnce).map((reconcileOne) => reconcileOne()));
}

/** undefined: nothing to do. `recreate`: an update cannot do it. */
type Reconciled<T> = { readonly update: T } | "recreate" | undefined;

async function reconcile<T extends { readonly metadata: ObjectMeta }>(
  client: Client,
  ref: ResourceRef<T>,
  expected: T,
  compare: <U extends T>(existing: U, expected: U) => Reconciled<U>,
): Promise<void> {
  const { name = "", namespace } = expected.metadata;
  for (let attempt = 1; ; attempt++) {
    try {
      const existing = await getIfPresent(client, ref, { namespace, name });
      if (!existing) {
        await client.create(ref, structuredClone(expected), { namespace });
        return;
      }
      const result = compare(existing, expected);
      if (result === undefined) return;
      if (result === "recreate") {
        const { uid } = existing.metadata;
        await client.delete(ref, { namespace, name }, uid ? { preconditions: { uid } } : {});
        await client.create(ref, structuredClone(expected), { namespace });
      } else await client.update(ref, result.update);
      return;
    } catch (error) {
      const isRace = isConflict(error) || isAlreadyExists(error) || isNotFound(error);
      if (!isRace || attempt >= attempts) throw error;
    }
  }
}

async function getIfPresent<T>(
  client: Client,
  ref: ResourceRef<T>,
  key: { namespace: string | undefined; name: string },
): Promise<T | undefined> {
  try {
    return await client.get(ref, key);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Exported for its table of tests. */
export function reconciledRole<T extends AnyRole>(existing: T, expected: T): Reconciled<T> {
  if (isProtected(existing.metadata)) return undefined;
  const metadata = mergedMetadata(existing.metadata, expected.metadata);
  const missing = missingRules(existing.rules ?? [], expected.rules ?? []);
  const selectors = existing.aggregationRule?.clusterRoleSelectors ?? [];
  const missingSelectors = (expected.aggregationRule?.clusterRoleSelectors ?? []).filter(
    (wanted) => !selectors.some((held) => Bun.deepEquals(held, wanted)),
  );
  const wrongAggregation = !expected.aggregationRule && existing.aggregationRule !== undefined;
  if (!metadata && missing.length === 0 && missingSelectors.length === 0 && !wrongAggregation) return undefined;
  const { aggregationRule: _old, ...rest } = existing;
  const aggregationRule = expected.aggregationRule
    ? { aggregationRule: { clusterRoleSelectors: [...selectors, ...missingSelectors] } }
    : {};
  return {
    update: {
      ...rest,
      metadata: metadata ?? existing.metadata,
      rules: [...(existing.rules ?? []), ...missing],
      ...aggregationRule,
    } as unknown as T,
  };
}

/** Exported for its table of tests. */
export function reconciledBinding<T extends AnyBinding>(existing: T, expected: T): Reconciled<T> {
  if (isProtected(existing.metadata)) return undefined;
  if (!Bun.deepEquals(existing.roleRef, expected.roleRef)) return "recreate";
  const metadata = mergedMetadata(existing.metadata, expected.metadata);
  const held = existing.subjects ?? [];
  const missing = (expected.subjects ?? []).filter(
    (wanted) => !held.some((subject) => Bun.deepEquals(subject, wanted)),
  );
  if (!metadata && missing.length === 0) return undefined;
  return { update: { ...existing, metadata: metadata ?? existing.metadata, subjects: [...held, ...missing] } };
}

const isProtected = ({ annotations }: ObjectMeta): boolean =>
  annotations?.["rbac.authorization.kubernetes.io/autoupdate"] === "false";

/** Expected labels and annotations added where there are none of that key; undefined when all are there. */
function mergedMetadata(existing: ObjectMeta, expected: ObjectMeta): ObjectMeta | undefined {
  const labels = { ...expected.labels, ...existing.labels };
  const annotations = { ...expected.annotations, ...existing.annotations };
  const isComplete =
    Object.keys(labels).length === Object.keys(existing.labels ?? {}).length &&
    Object.keys(annotations).length === Object.keys(existing.annotations ?? {}).length;
  return isComplete ? undefined : { ...existing, labels, annotations };
}
