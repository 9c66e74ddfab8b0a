/** What the served resources look like in discovery, in the old form and in the aggregated one (KEP-3352). Pure. */
import { createHash } from "node:crypto";
import type { APIResource } from "#shared/api/types/meta-v1.generated.ts";
import type { ResourceDeclaration, SubresourceDeclaration } from "../registry/declaration.ts";
import type { ServedResource } from "../registry/served-resource.ts";

const allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"] as const;

export interface DiscoveredVersion {
  readonly version: string;
  readonly resources: readonly ServedResource[];
}

export interface DiscoveredGroup {
  readonly group: string;
  /** Preferred first. */
  readonly versions: readonly DiscoveredVersion[];
}

/** Groups in the order in which they were registered, each with its versions in Kubernetes' order of preference. */
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
  return [...groups].map(([group, versions]) => ({
    group,
    versions: [...versions]
      .sort(([a], [b]) => compareVersions(a, b))
      .map(([version, list]) => ({
        version,
        resources: list.sort((a, b) => (a.declaration.ref.plural < b.declaration.ref.plural ? -1 : 1)),
      })),
  }));
}

const pattern = /^v(\d+)(?:(alpha|beta)(\d+))?$/;
const stability = { alpha: 0, beta: 1 } as const;

/** v2 before v1 before v1beta1 before v1alpha1 before anything else (apimachinery's CompareKubeAwareVersionStrings). */
export function compareVersions(a: string, b: string): number {
  const [rankA, rankB] = [rankOf(a), rankOf(b)];
  if (!rankA || !rankB) return rankA ? -1 : rankB ? 1 : a < b ? -1 : a > b ? 1 : 0;
  for (const [index, value] of rankA.entries()) {
    const other = rankB[index] ?? 0;
    if (value !== other) return other - value;
  }
  return 0;
}

function rankOf(version: string): [stable: number, major: number, minor: number] | undefined {
  const match = pattern.exec(version);
  if (!match) return undefined;
  const kind = match[2];
  const stable = kind === "alpha" || kind === "beta" ? stability[kind] : 2;
  return [stable, Number(match[1]), Number(match[3] ?? 0)];
}

const verbsOf = (declaration: ResourceDeclaration): string[] => [
  ...(declaration.verbs ?? (declaration.virtual ? ["create"] : allVerbs)),
];

const singularOf = ({ singular, ref }: ResourceDeclaration): string => singular ?? ref.kind.toLowerCase();

const subresourcesOf = (declaration: ResourceDeclaration): [string, SubresourceDeclaration][] =>
  Object.entries(declaration.subresources ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));

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
    versions: versions.map(({ version, resources }) => ({
      version,
      resources: resources.map((resource) => resourceDiscovery(resource)),
      freshness: "Current",
    })),
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
