import { clusterRoles } from "#shared/api/resources.ts";
import { labelSelectorOf } from "#shared/api/selector/label-selector.ts";
import type { ClusterRole, PolicyRule } from "#shared/api/types/rbac-v1.generated.ts";
import { defineController, watching } from "#shared/client/controller.ts";
import { canonicalText } from "./canonical-text.ts";

/** The rules of all roles that an aggregating role selects, each once, in the order of the roles' names (pure). */
export function aggregatedRules(role: ClusterRole, all: readonly ClusterRole[]): PolicyRule[] {
  const selectors = (role.aggregationRule?.clusterRoleSelectors ?? []).map(labelSelectorOf);
  const rules = new Map<string, PolicyRule>();
  // By selector, then by name: as upstream, so that it comes to the same text.
  for (const selector of selectors) {
    const selected = all.filter(
      ({ metadata }) => metadata.name !== role.metadata.name && selector.matches(metadata.labels),
    );
    for (const { rules: own } of selected.toSorted((a, b) =>
      (a.metadata.name ?? "") < (b.metadata.name ?? "") ? -1 : 1,
    ))
      for (const rule of own ?? []) rules.set(canonicalText(rule), rules.get(canonicalText(rule)) ?? rule);
  }
  return [...rules.values()];
}

/** Upstream's: the rules are applied, so that whoever applies the role from a file does not own them. */
const fieldManager = "clusterrole-aggregation-controller";

/** Fills roles with an `aggregationRule` (admin, edit, view) from those that carry the labels. */
export const clusterRoleAggregation = defineController({
  name: fieldManager,
  watches: [
    watching(clusterRoles, {
      // Any role may be part of any aggregating one.
      enqueue: (_role, { lister }) =>
        lister(clusterRoles)
          .list()
          .filter(({ aggregationRule }) => aggregationRule)
          .map(({ metadata }) => metadata.name ?? ""),
      when: (event) =>
        event.type !== "update" ||
        canonicalText([event.old.rules, event.old.metadata.labels, event.old.aggregationRule]) !==
          canonicalText([event.object.rules, event.object.metadata.labels, event.object.aggregationRule]),
    }),
  ],
  concurrency: 1,
  async reconcile(key, { lister, client }) {
    const role = lister(clusterRoles).get(key);
    if (!role?.aggregationRule) return;
    const rules = aggregatedRules(role, lister(clusterRoles).list());
    if (canonicalText(rules) === canonicalText(role.rules ?? [])) return;
    const { apiVersion, kind } = role;
    const body = { apiVersion, kind, metadata: { name: key }, rules };
    await client.patch(clusterRoles, { name: key }, { type: "apply", body, force: true }, { fieldManager });
  },
});
