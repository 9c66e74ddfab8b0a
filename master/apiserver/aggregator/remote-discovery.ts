/** What an aggregated API server says that it serves, as an item of an aggregated discovery document. */
import { isJsonObject } from "#shared/api/patch/json-value.ts";
import type { APIResource } from "#shared/api/types/meta-v1.generated.ts";
import type { ExternalGroup } from "../discovery/discovery-paths.ts";

export interface RemoteVersion {
  readonly version: string;
  readonly resources: readonly object[];
  readonly freshness: "Current" | "Stale";
}

/** From the document of one group version (APIResourceList), which every server has. */
export function versionFrom(document: unknown, group: string, version: string): RemoteVersion {
  const list =
    isJsonObject(document) && Array.isArray(document["resources"]) ? (document["resources"] as APIResource[]) : [];
  const own = list.filter(({ name }) => !name.includes("/"));
  const resources = own.map((resource) => {
    const parts = list.filter(({ name }) => name.startsWith(`${resource.name}/`));
    const subresources = parts.map((part) => ({
      subresource: part.name.slice(resource.name.length + 1),
      responseKind: kindOf(part, group, version),
      verbs: part.verbs,
    }));
    return {
      resource: resource.name,
      responseKind: kindOf(resource, group, version),
      scope: resource.namespaced ? "Namespaced" : "Cluster",
      singularResource: resource.singularName,
      verbs: resource.verbs,
      ...(resource.shortNames?.length ? { shortNames: resource.shortNames } : {}),
      ...(resource.categories?.length ? { categories: resource.categories } : {}),
      ...(subresources.length > 0 ? { subresources } : {}),
    };
  });
  return { version, resources, freshness: "Current" };
}

const kindOf = (resource: APIResource, group: string, version: string): object => ({
  group: resource.group ?? group,
  version: resource.version ?? version,
  kind: resource.kind,
});

/** Groups in order of preference, their versions too. */
export function groupsOf(
  found: readonly {
    readonly group: string;
    readonly groupPriority: number;
    readonly versionPriority: number;
    readonly version: RemoteVersion;
  }[],
): ExternalGroup[] {
  const groups = new Map<string, (typeof found)[number][]>();
  for (const each of found) groups.set(each.group, [...(groups.get(each.group) ?? []), each]);
  return [...groups]
    .sort(([a, as], [b, bs]) => priorityOf(bs) - priorityOf(as) || (a < b ? -1 : 1))
    .map(([name, members]) => ({
      metadata: { name },
      versions: members.toSorted((a, b) => b.versionPriority - a.versionPriority).map(({ version }) => version),
    }));
}

const priorityOf = (members: readonly { readonly groupPriority: number }[]): number =>
  Math.max(...members.map(({ groupPriority }) => groupPriority));
