import { type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { APIGroupDiscoveryList } from "#shared/api/types/apidiscovery-v2.generated.ts";
import type { Client } from "./client.ts";

/** A resource that the server offers, in its group's preferred version among those that have it. */
export interface DiscoveredResource {
  readonly ref: ResourceRef<KubeObject>;
  readonly verbs: ReadonlySet<string>;
}

export interface Discovery {
  readonly resources: readonly DiscoveredResource[];
  /** Group versions of which it is not known what they serve (an aggregated API that is down), with the reason. */
  readonly failures: ReadonlyMap<string, Error>;
}

const aggregatedForm = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/** Asks the server for everything it serves, by the two documents that tell it all: no other server is waited for. */
async function discover(client: Client): Promise<Discovery> {
  const documents = await Promise.all(
    ["/api", "/apis"].map((path) => client.raw({ method: "GET", path, accept: aggregatedForm })),
  );
  const failures = new Map<string, Error>();
  const resources = new Map<string, DiscoveredResource>();
  for (const { metadata, versions = [] } of documents.flatMap((each) => (each as APIGroupDiscoveryList).items)) {
    const group = metadata.name ?? "";
    for (const { version = "", resources: served = [], freshness } of versions) {
      if (freshness === "Stale") {
        const groupVersion = `${group}/${version}`;
        failures.set(groupVersion, new Error(`stale GroupVersion discovery: ${groupVersion}`));
        continue;
      }
      for (const { resource: plural, responseKind, scope, verbs } of served) {
        const id = `${group}/${plural}`;
        // Versions come in the order of the group's preference.
        if (resources.has(id)) continue;
        const ref = { group, version, kind: responseKind?.kind ?? "", plural, namespaced: scope === "Namespaced" };
        resources.set(id, { ref, verbs: new Set(verbs) });
      }
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
