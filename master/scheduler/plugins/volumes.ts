import { compareQuantities, parseQuantity } from "#shared/api/quantity.ts";
import {
  csiDrivers,
  csiStorageCapacities,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
} from "#shared/api/resources.ts";
import {
  canProvisionOn,
  findVolume,
  isBound,
  volumeAnnotations,
  volumeReaches,
} from "#shared/api/scheduling/volume-match.ts";
import { labelSelectorOf } from "#shared/api/selector/label-selector.ts";
import type { Node, PersistentVolume, PersistentVolumeClaim } from "#shared/api/types/core-v1.generated.ts";
import type { StorageClass } from "#shared/api/types/storage-v1.generated.ts";
import { type ClusterView, rejection, type SchedulerPlugin } from "../framework.ts";
import type { PodInfo } from "../pod-info.ts";

export interface ClaimOfPod {
  readonly name: string;
  /** Made for the pod by the ephemeral volume controller. */
  readonly ephemeral: boolean;
  readonly claim: PersistentVolumeClaim | undefined;
}

/** Names of the claims that a pod uses, also of those made for it. */
const claimNamesOf = ({ pod }: PodInfo): string[] =>
  (pod.spec?.volumes ?? []).flatMap(
    ({ name, persistentVolumeClaim, ephemeral }) =>
      persistentVolumeClaim?.claimName ?? (ephemeral ? [`${pod.metadata.name}-${name}`] : []),
  );

export function claimsOf({ pod, namespace }: PodInfo, cluster: ClusterView): ClaimOfPod[] {
  return (pod.spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    const claimName = persistentVolumeClaim?.claimName ?? (ephemeral ? `${pod.metadata.name}-${name}` : undefined);
    if (claimName === undefined) return [];
    const claim = cluster.lister(persistentVolumeClaims).get(`${namespace}/${claimName}`);
    return [{ name: claimName, ephemeral: ephemeral !== undefined, claim }];
  });
}

/** How a claim that waits for its first consumer would get its volume on a node. */
export type VolumePlan =
  | { readonly kind: "bind"; readonly claim: PersistentVolumeClaim; readonly volume: PersistentVolume }
  | { readonly kind: "provision"; readonly claim: PersistentVolumeClaim };

/** A plan for every unbound claim of the pod on this node, or undefined when some claim cannot be served there; a driver
 *  may also lack the room (pure). */
export function planVolumes(
  claims: readonly PersistentVolumeClaim[],
  node: Node,
  cluster: ClusterView,
): VolumePlan[] | "not enough capacity" | undefined {
  const taken = new Set<string>();
  const plans: VolumePlan[] = [];
  for (const claim of claims) {
    if (isBound(claim)) continue;
    const selected = claim.metadata.annotations?.[volumeAnnotations.selectedNode];
    if (selected !== undefined && selected !== node.metadata.name) return undefined;
    const volume = selected ? undefined : findVolume(claim, cluster.lister(persistentVolumes).list(), { node, taken });
    if (volume) {
      taken.add(volume.metadata.name ?? "");
      plans.push({ kind: "bind", claim, volume });
      continue;
    }
    const storageClass = cluster.lister(storageClasses).get(claim.spec?.storageClassName ?? "");
    if (!storageClass || !canProvisionOn(storageClass, node)) return undefined;
    if (!hasCapacity(claim, storageClass, node, cluster)) return "not enough capacity";
    plans.push({ kind: "provision", claim });
  }
  return plans;
}

/** A driver that tells how much room it has where (KEP-1472) is believed; any other is tried. */
function hasCapacity(
  { spec }: PersistentVolumeClaim,
  { metadata, provisioner }: StorageClass,
  node: Node,
  cluster: ClusterView,
): boolean {
  if (!cluster.lister(csiDrivers).get(provisioner)?.spec.storageCapacity) return true;
  const size = parseQuantity(spec?.resources?.requests?.["storage"] ?? "0");
  return cluster
    .lister(csiStorageCapacities)
    .list()
    .some(({ storageClassName, capacity, maximumVolumeSize, nodeTopology }) => {
      const room = maximumVolumeSize ?? capacity;
      if (storageClassName !== metadata.name || room === undefined || !nodeTopology) return false;
      return (
        compareQuantities(parseQuantity(room), size) >= 0 &&
        labelSelectorOf(nodeTopology).matches(node.metadata.labels ?? {})
      );
    });
}

/** The pod's claims have their volumes, or can get them, on the node. */
export const volumeBinding: SchedulerPlugin = {
  name: "VolumeBinding",
  wokenBy: new Set(["nodeAdded", "nodeLabels", "storage"]),
  mayHelp: (pod, { claim }) =>
    !claim || (claim.metadata.namespace === pod.namespace && claimNamesOf(pod).includes(claim.metadata.name ?? "")),
  begin(info, cluster) {
    const wanted = claimsOf(info, cluster);
    if (wanted.length === 0) return undefined;
    const claims: PersistentVolumeClaim[] = [];
    for (const { name, ephemeral, claim } of wanted) {
      const problem = claimProblem(name, ephemeral, claim);
      if (problem) return { reject: rejection(problem, "final") };
      if (claim) claims.push(claim);
    }
    if (claims.some((claim) => !isBound(claim) && !waitsForConsumer(claim, cluster)))
      return { reject: rejection("pod has unbound immediate PersistentVolumeClaims", "final") };
    return {
      filter({ node }) {
        if (!node) return undefined;
        for (const { spec } of claims.filter(isBound)) {
          const volume = cluster.lister(persistentVolumes).get(spec?.volumeName ?? "");
          if (!volume)
            return rejection("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)", "final");
          if (!volumeReaches(volume, node))
            return rejection("node(s) didn't match PersistentVolume's node affinity", "final");
        }
        const plan = planVolumes(claims, node, cluster);
        if (plan === "not enough capacity") return rejection("node(s) did not have enough free storage", "final");
        return plan ? undefined : rejection("node(s) didn't find available persistent volumes to bind", "final");
      },
    };
  },
};

function claimProblem(name: string, ephemeral: boolean, claim: PersistentVolumeClaim | undefined): string | undefined {
  if (!claim) {
    return ephemeral
      ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`
      : `persistentvolumeclaim "${name}" not found`;
  }
  if (claim.status?.phase === "Lost")
    return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec?.volumeName}"`;
  if (claim.metadata.deletionTimestamp) return `persistentvolumeclaim "${name}" is being deleted`;
  return undefined;
}

function waitsForConsumer({ spec }: PersistentVolumeClaim, cluster: ClusterView): boolean {
  const storageClass = cluster.lister(storageClasses).get(spec?.storageClassName ?? "");
  return storageClass?.volumeBindingMode === "WaitForFirstConsumer" && !spec?.volumeName;
}

/** A claim with ReadWriteOncePod is used by one pod of the cluster at a time. */
export const volumeRestrictions: SchedulerPlugin = {
  name: "VolumeRestrictions",
  wokenBy: new Set(["podDeleted", "storage"]),
  mayHelp: (pod, { freed }) =>
    !freed ||
    (freed.namespace === pod.namespace && claimNamesOf(freed).some((name) => claimNamesOf(pod).includes(name))),
  begin(info, cluster) {
    const alone = new Set(
      claimsOf(info, cluster)
        .filter(({ claim }) => claim?.spec?.accessModes?.includes("ReadWriteOncePod"))
        .map(({ name }) => name),
    );
    if (alone.size === 0) return undefined;
    const inUse = cluster
      .nodes()
      .some((node) =>
        [...node.pods.values()].some(
          (other) => other.namespace === info.namespace && claimsOf(other, cluster).some(({ name }) => alone.has(name)),
        ),
      );
    if (!inUse) return undefined;
    const reason =
      "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod";
    return { filter: () => rejection(reason, "preemptible") };
  },
};
