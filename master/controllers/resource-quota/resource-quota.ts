import type { KubeObject } from "#shared/api/object.ts";
import { keyOf } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import {
  configMaps,
  cronJobs,
  deployments,
  jobs,
  persistentVolumeClaims,
  pods,
  replicaSets,
  replicationControllers,
  resourceQuotas,
  secrets,
  services,
  statefulSets,
} from "#shared/api/resources.ts";
import type { ResourceQuota } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import {
  type ControllerDefinition,
  type ControllerWatch,
  defineController,
  watching,
} from "#shared/client/controller.ts";
import type { ResourceMapper } from "#shared/client/discovery.ts";
import type { InformerEvent } from "#shared/client/informer.ts";
import { listOf } from "../../quota/amounts.ts";
import { type CountedResource, countedResources, evaluatorFor } from "../../quota/evaluators.ts";
import { type CountedObjects, usedBy } from "../../quota/usage.ts";
import { canonicalText } from "../canonical-text.ts";

/** What most quotas limit, and others watch anyway: a quota is counted anew as soon as one of these gives something back. */
const watched: readonly ResourceRef<KubeObject>[] = [
  pods,
  services,
  persistentVolumeClaims,
  configMaps,
  secrets,
  replicationControllers,
  deployments,
  replicaSets,
  statefulSets,
  jobs,
  cronJobs,
] as readonly ResourceRef<KubeObject>[];

/** Quotas of other kinds (custom ones) are counted anew so often, for nobody tells of deletions. */
const recount_ms = 10_000;

const id = ({ group, plural }: CountedResource): string => `${group}/${plural}`;

function watchCounted(ref: ResourceRef<KubeObject>): ControllerWatch {
  return watching(ref, {
    // Creations are charged by admission; deletions, and changes of what counts, are only seen here.
    when: (event) =>
      event.type === "delete" ||
      (event.type === "update" && event.old.metadata.generation !== event.object.metadata.generation) ||
      (event.type === "update" && phaseOf(event.old) !== phaseOf(event.object)),
    enqueue: ({ metadata }, { lister }) => lister(resourceQuotas).list(metadata.namespace).map(keyOf),
  });
}

const phaseOf = (object: KubeObject): unknown => (object as { status?: { phase?: unknown } }).status?.phase;

/** What is used changes by admission too, which charges a quota before the object is there: counting anew for that would take
 *  the charge back, and nothing would tell of the object when it comes. */
const changesLimits = (event: InformerEvent<ResourceQuota>): boolean =>
  event.type !== "update" || canonicalText(event.old.spec) !== canonicalText(event.object.spec);

/** Keeps in each ResourceQuota's status what is used, counted anew. */
export function resourceQuotaController(mapper: ResourceMapper): ControllerDefinition {
  return defineController({
    name: "resourcequota-controller",
    watches: [watching(resourceQuotas, { when: changesLimits }), ...watched.map(watchCounted)],
    resync_s: 300,
    async reconcile(key, { lister, client, clock }) {
      const quota = lister(resourceQuotas).get(key);
      if (!quota || quota.metadata.deletionTimestamp) return undefined;
      const counted = countedResources(Object.keys(quota.spec?.hard ?? {}));
      const objects = new Map<string, CountedObjects | undefined>();
      for (const resource of counted)
        objects.set(id(resource), await listCounted(client, mapper, resource, quota.metadata.namespace ?? ""));
      const used = listOf(usedBy(quota, (resource) => objects.get(id(resource)), clock.wall_ms()));
      const hard = quota.spec?.hard ?? {};
      if (canonicalText([hard, used]) !== canonicalText([quota.status?.hard ?? {}, quota.status?.used ?? {}])) {
        await client.update(resourceQuotas, { ...quota, status: { hard, used } }, { subresource: "status" });
      }
      const unwatched = counted.some((resource) => !watched.some((ref) => id(ref) === id(resource)));
      return unwatched ? { requeueAfter_ms: recount_ms } : undefined;
    },
  });
}

/** undefined for a resource that is not served. Few kinds are more than counted: only their objects are read. */
async function listCounted(
  client: Client,
  mapper: ResourceMapper,
  resource: CountedResource,
  namespace: string,
): Promise<CountedObjects | undefined> {
  const known =
    watched.find((ref) => id(ref) === id(resource)) ??
    (await mapper.discovery()).resources.find(({ ref }) => id(ref) === id(resource))?.ref;
  if (!known) return undefined;
  return (
    (evaluatorFor(resource)?.usageOf && (await countOf(client, known, namespace))) ??
    (await client.list(known, { namespace })).items
  );
}

/** undefined where the server does not say how many there are behind the first. */
async function countOf(client: Client, ref: ResourceRef<KubeObject>, namespace: string): Promise<number | undefined> {
  const { items, metadata } = await client.list(ref, { namespace, limit: 1 });
  if (!metadata.continue) return items.length;
  return metadata.remainingItemCount === undefined ? undefined : items.length + metadata.remainingItemCount;
}
