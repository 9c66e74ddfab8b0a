/** What the served resources look like in discovery, in the old form and in the aggregated one (KEP-3352). Pure. */
import { createHash } from "node:crypto";
import type { APIResource } from "#shared/api/types/meta-v1.generated.ts";
import type { ResourceDeclaration, SubresourceDeclaration } from "../registry/declaration.ts";
import type { ServedResource } from "../registry/served-resource.ts";
import { builtInPriority, customPriority, inOrder, type Priority } from "./group-order.ts";
import type { RemoteGroupVersion, RemoteVersion } from "./remote-version.ts";

const allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"] as const;

export interface DiscoveredVersion {
  readonly version: string;
  readonly priority: Priority;
  /** Served here. */
  readonly resources: readonly ServedResource[];
  /** Served elsewhere: this is shown. */
  readonly remote?: RemoteVersion | undefined;
}

export interface DiscoveredGroup {
  readonly group: string;
  /** Preferred first. */
  readonly versions: readonly DiscoveredVersion[];
}

/** What is served here, in the order in which clients are shown it. */
export function groupsOf(resources: Iterable<ServedResource>): DiscoveredGroup[] {
  const groups = new Map<string, Map<string, ServedResource[]>>();
  for (const resource of resources) {
    const { group } = resource.declaration.ref;
    const versions = groups.get(group) ?? new Map<string, ServedResource[]>();
    groups.set(group, versions);
    const list = versions.get(resource.version) ?? [];
    versions.set(resource.version, list);
    list.push(resource);
  }
  const found = [...groups].map(([group, versions]) => ({
    group,
    versions: [...versions].map(([version, list]) => ({
      version,
      priority: builtInPriority(group, version) ?? customPriority,
      resources: list.sort((a, b) => (a.declaration.ref.plural < b.declaration.ref.plural ? -1 : 1)),
    })),
  }));
  return inOrder(found);
}

/** With what other servers serve; a version that another one was put in the place of is that one's. */
export function withRemote(
  own: readonly DiscoveredGroup[],
  remotes: readonly RemoteGroupVersion[],
): readonly DiscoveredGroup[] {
  if (remotes.length === 0) return own;
  const groups = new Map(own.map((group) => [group.group, group]));
  for (const { group, groupPriority, versionPriority, shown } of remotes) {
    const others = (groups.get(group)?.versions ?? []).filter(({ version }) => version !== shown.version);
    const priority = { group: groupPriority, version: versionPriority };
    const added = { version: shown.version, priority, resources: [], remote: shown };
    groups.set(group, { group, versions: [...others, added] });
  }
  return inOrder(groups.values());
}

const verbsOf = ({ discoveredVerbs, verbs, virtual }: ResourceDeclaration): string[] => [
  ...(discoveredVerbs ?? verbs ?? (virtual ? ["create"] : allVerbs)),
];

const singularOf = ({ singular, ref }: ResourceDeclaration): string => singular ?? ref.kind.toLowerCase();

/** Upstream goes through its routes by name, but through what a definition may have in the order of its fields. */
function subresourcesOf({ subresources = {}, custom }: ResourceDeclaration): [string, SubresourceDeclaration][] {
  const declared = Object.entries(subresources);
  return custom ? declared : declared.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Entries of an APIResourceList: each resource, then its subresources. */
export function apiResources(resources: readonly ServedResource[]): APIResource[] {
  return resources.flatMap(({ declaration }) => {
    const { ref, shortNames, categories } = declaration;
    const own = {
      name: ref.plural,
      singularName: singularOf(declaration),
      namespaced: ref.namespaced,
      kind: ref.kind,
      verbs: verbsOf(declaration),
      ...(shortNames?.length ? { shortNames: [...shortNames] } : {}),
      ...(categories?.length ? { categories: [...categories] } : {}),
      ...(declaration.computed || !verbsOf(declaration).includes("get")
        ? {}
        : { storageVersionHash: storageVersionHash(declaration) }),
    };
    const parts = subresourcesOf(declaration).map(([name, { verbs, body }]) => ({
      name: `${ref.plural}/${name}`,
      singularName: "",
      namespaced: ref.namespaced,
      kind: body?.kind ?? ref.kind,
      verbs: [...verbs],
      ...(body && body.group !== ref.group ? { group: body.group, version: body.version } : {}),
    }));
    return [own, ...parts];
  });
}

/** Tells clients that watch discovery when objects of a kind come to rest in another version. */
function storageVersionHash({ ref, storedAs }: ResourceDeclaration): string {
  const { group, version, kind } = storedAs?.ref ?? ref;
  const digest = createHash("sha256").update(`${group}/${version}/${kind}`).digest();
  return digest.subarray(0, 8).toString("base64");
}

/** One item of an APIGroupDiscoveryList. */
export function groupDiscovery({ group, versions }: DiscoveredGroup): object {
  return {
    metadata: group === "" ? {} : { name: group },
    versions: versions.map(
      ({ version, resources, remote }) =>
        remote ?? {
          version,
          resources: resources.map((resource) => resourceDiscovery(resource)),
          freshness: "Current",
        },
    ),
  };
}

function resourceDiscovery({ declaration, gvk }: ServedResource): object {
  const { ref, shortNames, categories } = declaration;
  const subresources = subresourcesOf(declaration).map(([subresource, { verbs, body }]) => ({
    subresource,
    responseKind: body ? { group: body.group, version: body.version, kind: body.kind } : gvk,
    verbs,
  }));
  return {
    resource: ref.plural,
    responseKind: gvk,
    scope: ref.namespaced ? "Namespaced" : "Cluster",
    singularResource: singularOf(declaration),
    verbs: verbsOf(declaration),
    ...(shortNames?.length ? { shortNames } : {}),
    ...(categories?.length ? { categories } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  };
}
