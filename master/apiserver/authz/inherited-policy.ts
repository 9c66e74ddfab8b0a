/** Parts of the policy that came out of others in the past begin with what people made of those. */
import { isAlreadyExists } from "#shared/api/errors.ts";
import { clusterRoleBindings, clusterRoles } from "#shared/api/resources.ts";
import type { ClusterRoleBinding } from "#shared/api/types/rbac-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";

/** Roles that collect their rules now, and the roles that have the rules which once were theirs. */
const aggregated = {
  admin: "system:aggregate-to-admin",
  edit: "system:aggregate-to-edit",
  view: "system:aggregate-to-view",
} as const;

/** Bindings that were split off another, and that other one. */
const split = { "system:public-info-viewer": "system:discovery" } as const;

/**
 * Copies what is there of the older ones to the newer ones that are not (primeAggregatedClusterRoles and
 * primeSplitClusterRoleBindings upstream): somebody who forbade strangers the one has not allowed them the other.
 * @param bindings those of the policy.
 */
export async function inheritPolicy(client: Client, bindings: readonly ClusterRoleBinding[]): Promise<void> {
  for (const [from, to] of Object.entries(aggregated)) await inheritRole(client, from, to);
  for (const binding of bindings) {
    const from = (split as Readonly<Record<string, string>>)[binding.metadata.name ?? ""];
    if (from !== undefined) await inheritBinding(client, from, binding);
  }
}

async function inheritRole(client: Client, from: string, to: string): Promise<void> {
  if (await unlessGone(client.get(clusterRoles, { name: to }))) return;
  const before = await unlessGone(client.get(clusterRoles, { name: from }));
  // One that collects its rules has none of its own to pass on.
  if (!before || before.aggregationRule) return;
  const { labels, annotations } = before.metadata;
  await unlessThere(client.create(clusterRoles, { ...before, metadata: { name: to, labels, annotations } }));
}

async function inheritBinding(client: Client, from: string, binding: ClusterRoleBinding): Promise<void> {
  const { name = "" } = binding.metadata;
  const before = await unlessGone(client.get(clusterRoleBindings, { name: from }));
  if (!before || (await unlessGone(client.get(clusterRoleBindings, { name })))) return;
  const { subjects, metadata } = before;
  const { labels, annotations } = metadata;
  await unlessThere(
    client.create(clusterRoleBindings, { ...binding, metadata: { name, labels, annotations }, subjects }),
  );
}

/** Another master may do the same. */
async function unlessThere(asked: Promise<unknown>): Promise<void> {
  try {
    await asked;
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}
