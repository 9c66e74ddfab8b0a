import { type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { APIGroupList, APIResourceList } from "#shared/api/types/meta-v1.generated.ts";
import type { Client } from "./client.ts";

/** A resource that the server offers, in its group's preferred version among those that have it. */
export interface DiscoveredResource {
  readonly ref: ResourceRef<KubeObject>;
  readonly verbs: ReadonlySet<string>;
}

export interface Discovery {
  readonly resources: readonly DiscoveredResource[];
  /** Group versions that could not be asked (an aggregated API that is down), with the reason. */
  readonly failures: ReadonlyMap<string, Error>;
}

/** Asks the server for everything it serves. Rejects only when the list of groups itself cannot be had. */
export async function discover(client: Client): Promise<Discovery> {
  const groups = (await client.raw({ method: "GET", path: "/apis" })) as APIGroupList;
  const groupVersions = [
    "v1",
    ...groups.groups.flatMap(({ preferredVersion, versions }) => {
      const names = versions.map(({ groupVersion }) => groupVersion);
      const preferred = preferredVersion?.groupVersion;
      return preferred ? [preferred, ...names.filter((name) => name !== preferred)] : names;
    }),
  ];
  const failures = new Map<string, Error>();
  const lists = await Promise.all(
    groupVersions.map(async (groupVersion) => {
      const path = groupVersion.includes("/") ? `/apis/${groupVersion}` : `/api/${groupVersion}`;
      try {
        return { groupVersion, list: (await client.raw({ method: "GET", path })) as APIResourceList };
      } catch (error) {
        failures.set(groupVersion, error instanceof Error ? error : new Error(String(error)));
        return undefined;
      }
    }),
  );
  const resources = new Map<string, DiscoveredResource>();
  for (const found of lists) {
    if (!found) continue;
    const { group, version } = parseApiVersion(found.groupVersion);
    for (const { name, kind, namespaced, verbs } of found.list.resources) {
      const id = `${group}/${name}`;
      if (name.includes("/") || resources.has(id)) continue;
      resources.set(id, { ref: { group, version, kind, plural: name, namespaced }, verbs: new Set(verbs) });
    }
  }
  return { resources: [...resources.values()], failures };
}

/** Finds resources by kind, asking the server again (at most every few seconds) for a kind that it has not seen. */
export class ResourceMapper {
  readonly #client: Client;
  readonly #minInterval_ms: number;
  #known: Discovery | undefined;
  #asked_ms = Number.NEGATIVE_INFINITY;
  #asking: Promise<Discovery> | undefined;

  constructor(client: Client, minInterval_ms = 5_000) {
    this.#client = client;
    this.#minInterval_ms = minInterval_ms;
  }

  /** What is known, asked for once. */
  async discovery(): Promise<Discovery> {
    return this.#known ?? this.refresh();
  }

  /** Asks anew; callers at the same time share one answer. */
  refresh(): Promise<Discovery> {
    this.#asking ??= discover(this.#client)
      .then((found) => {
        this.#known = found;
        this.#asked_ms = performance.now();
        return found;
      })
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }

  /** The resource of a kind; any version of the group will do. Undefined when the server has none. */
  async resourceOf(apiVersion: string, kind: string): Promise<DiscoveredResource | undefined> {
    const { group } = parseApiVersion(apiVersion);
    const find = ({ resources }: Discovery): DiscoveredResource | undefined =>
      resources.find(({ ref }) => ref.group === group && ref.kind === kind);
    const known = find(await this.discovery());
    if (known || performance.now() - this.#asked_ms < this.#minInterval_ms) return known;
    return find(await this.refresh());
  }
}
