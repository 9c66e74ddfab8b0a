import { isNotFound } from "#shared/api/errors.ts";
import { parseApiVersion } from "#shared/api/object.ts";
import { resourcePath } from "#shared/api/resource-ref.ts";
import { deployments, replicaSets, replicationControllers, statefulSets } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { OwnerReference } from "#shared/api/types/meta-v1.generated.ts";
import type { ControllerContext } from "#shared/client/controller.ts";
import { controllerReferenceOf } from "#shared/client/controller-ref.ts";
import type { ResourceMapper } from "#shared/client/discovery.ts";

interface OwnerScale {
  readonly uid: string;
  readonly replicas: number;
}

export interface PodsScale {
  /** What the owners of the pods want together. */
  readonly replicas: number;
  /** Some pods have no owner: what there should be cannot be told exactly. */
  readonly hasUnmanaged: boolean;
}

/** Asks the owners of pods how many they want: from the caches for what is built in, by the scale subresource for
 *  others. Rejects when a pod's owner cannot tell. */
export async function scaleOf(
  pods: readonly Pod[],
  context: ControllerContext,
  mapper: ResourceMapper,
): Promise<PodsScale> {
  const scales = new Map<string, number>();
  const asked = new Set<string>();
  let hasUnmanaged = false;
  for (const pod of pods) {
    const reference = controllerReferenceOf(pod);
    if (!reference) {
      hasUnmanaged = true;
      continue;
    }
    if (asked.has(reference.uid)) continue;
    asked.add(reference.uid);
    const scale = await ownerScale(reference, pod.metadata.namespace, context, mapper);
    if (!scale) throw new Error(`found no controllers for pod "${pod.metadata.name}"`);
    scales.set(scale.uid, scale.replicas);
  }
  return { replicas: [...scales.values()].reduce((sum, replicas) => sum + replicas, 0), hasUnmanaged };
}

async function ownerScale(
  reference: OwnerReference,
  namespace: string | undefined,
  context: ControllerContext,
  mapper: ResourceMapper,
): Promise<OwnerScale | undefined> {
  const { group } = parseApiVersion(reference.apiVersion);
  const key = `${namespace}/${reference.name}`;
  const known = (
    owner: { metadata: { uid?: string | undefined }; spec?: { replicas?: number | undefined } | undefined } | undefined,
    { uid }: OwnerReference,
  ): OwnerScale | undefined => (owner?.metadata.uid === uid ? { uid, replicas: owner.spec?.replicas ?? 1 } : undefined);
  switch (`${group}/${reference.kind}`) {
    case "/ReplicationController":
      return known(context.lister(replicationControllers).get(key), reference);
    case "apps/StatefulSet":
      return known(context.lister(statefulSets).get(key), reference);
    case "apps/ReplicaSet": {
      const replicaSet = context.lister(replicaSets).get(key);
      const parent = replicaSet?.metadata.uid === reference.uid ? controllerReferenceOf(replicaSet) : undefined;
      if (parent?.kind !== "Deployment") return known(replicaSet, reference);
      return known(context.lister(deployments).get(`${namespace}/${parent.name}`), parent);
    }
    default:
      return scaleSubresource(reference, namespace, context, mapper);
  }
}

async function scaleSubresource(
  { apiVersion, kind, name, uid }: OwnerReference,
  namespace: string | undefined,
  { client }: ControllerContext,
  mapper: ResourceMapper,
): Promise<OwnerScale | undefined> {
  const resource = await mapper.resourceOf(apiVersion, kind);
  if (!resource) throw new Error(`no matches for kind "${kind}" in version "${apiVersion}"`);
  const path = resourcePath(resource.ref, { namespace, name, subresource: "scale" });
  try {
    const scale = (await client.raw({ method: "GET", path })) as {
      metadata?: { uid?: string };
      spec?: { replicas?: number };
    };
    return scale.metadata?.uid === uid ? { uid, replicas: scale.spec?.replicas ?? 0 } : undefined;
  } catch (error) {
    if (!isNotFound(error)) throw error;
    const { plural, group } = resource.ref;
    throw new Error(`${group ? `${plural}.${group}` : plural} does not implement the scale subresource`, {
      cause: error,
    });
  }
}
