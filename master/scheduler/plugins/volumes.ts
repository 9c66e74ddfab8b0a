import { claimNameOf } from "#shared/api/pod-claims.ts";
import { compareQuantities, parseQuantity, type Quantity } from "#shared/api/quantity.ts";
import {
  csiDrivers,
  csiStorageCapacities,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
} from "#shared/api/resources.ts";
import {
  canProvisionOn,
  findVolumeOnNode,
  isBound,
  sizeOf,
  volumeAnnotations,
  volumeReaches,
} from "#shared/api/scheduling/volume-match.ts";
import { labelSelectorOrNone } from "#shared/api/selector/label-selector.ts";
import { storageClassNameOf } from "#shared/api/storage-class-name.ts";
import type { Node, PersistentVolume, PersistentVolumeClaim, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { CSIStorageCapacity, StorageClass } from "#shared/api/types/storage-v1.generated.ts";
import { type ClusterView, rejection, type SchedulerPlugin, type StorageChange } from "../framework.ts";
import type { PodInfo } from "../pod-info.ts";
import { VolumePromises } from "../volume-promises.ts";

export interface ClaimOfPod {
  readonly name: string;
  /** Made for the pod by the ephemeral volume controller. */
  readonly ephemeral: boolean;
  readonly claim: PersistentVolumeClaim | undefined;
}

/** Names of the claims that a pod uses, also of those made for it. */
export const claimNamesOf = ({ pod }: PodInfo): string[] =>
  (pod.spec?.volumes ?? []).flatMap((volume) => claimNameOf(pod, volume) ?? []);

/** The claims that a pod uses, as far as they are there. */
export function claimsOf({ pod, namespace }: PodInfo, cluster: ClusterView): ClaimOfPod[] {
  return (pod.spec?.volumes ?? []).flatMap((volume) => {
    const name = claimNameOf(pod, volume);
    if (name === undefined) return [];
    const claim = cluster.lister(persistentVolumeClaims).get(`${namespace}/${name}`);
    return [{ name, ephemeral: volume.ephemeral !== undefined, claim }];
  });
}

/** Whether it is a claim of the pod's, still or newly there. */
export const isClaimOf = (pod: PodInfo, claim: PersistentVolumeClaim | undefined): boolean =>
  claim?.metadata.namespace === pod.namespace && claimNamesOf(pod).includes(claim.metadata.name ?? "");

function mayHelpBinding(pod: PodInfo, change: StorageChange): boolean {
  switch (change.of) {
    case "claim":
      return isClaimOf(pod, change.now);
    case "volume":
      return change.now !== undefined;
    case "storageClass": {
      const topologies = ({ allowedTopologies }: StorageClass): string => JSON.stringify(allowedTopologies ?? []);
      return change.now !== undefined && (!change.before || topologies(change.now) !== topologies(change.before));
    }
    case "csiDriver":
      // Its room is not asked after any more.
      return change.before?.spec.storageCapacity === true && change.now?.spec.storageCapacity !== true;
    case "capacity": {
      if (!change.now || !change.before) return change.now !== undefined;
      const [now, before] = [roomOf(change.now), roomOf(change.before)];
      return now !== undefined && (before === undefined || compareQuantities(now, before) > 0);
    }
    case "csiNode":
    case "attachment":
      return false;
  }
}

const roomOf = ({ capacity, maximumVolumeSize }: CSIStorageCapacity): Quantity | undefined => {
  const room = maximumVolumeSize ?? capacity;
  return room === undefined ? undefined : parseQuantity(room);
};

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
  promises: VolumePromises = new VolumePromises(),
): VolumePlan[] | "not enough capacity" | undefined {
  const taken = new Set<string>();
  const plans: VolumePlan[] = [];
  const unbound = claims.filter((claim) => !isBound(claim));
  const selectedFor = ({ metadata }: PersistentVolumeClaim) => metadata.annotations?.[volumeAnnotations.selectedNode];
  const elsewhere = unbound.some((claim) => (selectedFor(claim) ?? node.metadata.name) !== node.metadata.name);
  if (elsewhere) return undefined;
  const toMake = unbound.filter((claim) => selectedFor(claim) !== undefined);
  // The smallest first, so that a small claim takes no volume that a larger one needs.
  const toFind = unbound
    .filter((claim) => !toMake.includes(claim))
    .sort((a, b) => compareQuantities(sizeOf(a), sizeOf(b)));
  for (const claim of toFind) {
    const promised = promises.volumeOf(claim);
    const volumes = cluster
      .lister(persistentVolumes)
      .list()
      .filter(({ metadata: { name = "" } }) => (promised === undefined ? !promises.has(name) : name === promised));
    const volume = findVolumeOnNode(claim, volumes, { node, taken });
    if (!volume && promised !== undefined) return undefined;
    if (!volume) {
      toMake.push(claim);
      continue;
    }
    taken.add(volume.metadata.name ?? "");
    plans.push({ kind: "bind", claim, volume });
  }
  for (const claim of toMake) {
    const storageClass = cluster.lister(storageClasses).get(storageClassNameOf(claim));
    if (!storageClass || !canProvisionOn(storageClass, node)) return undefined;
    if (!hasCapacity(claim, storageClass, node, cluster)) return "not enough capacity";
    plans.push({ kind: "provision", claim });
  }
  return plans;
}

/** A driver that tells how much room it has where (KEP-1472) is believed; any other is tried. */
function hasCapacity(
  claim: PersistentVolumeClaim,
  { metadata, provisioner }: StorageClass,
  node: Node,
  cluster: ClusterView,
): boolean {
  if (!cluster.lister(csiDrivers).get(provisioner)?.spec.storageCapacity) return true;
  const size = sizeOf(claim);
  return cluster
    .lister(csiStorageCapacities)
    .list()
    .some((told) => {
      const room = roomOf(told);
      const { storageClassName, nodeTopology } = told;
      if (storageClassName !== metadata.name || room === undefined || !nodeTopology) return false;
      return (
        compareQuantities(room, size) >= 0 && labelSelectorOrNone(nodeTopology).matches(node.metadata.labels ?? {})
      );
    });
}

/** The pod's claims have their volumes, or can get them, on the node. */
export const volumeBinding = (promises: VolumePromises): SchedulerPlugin => ({
  name: "VolumeBinding",
  wokenBy: new Set(["nodeAdded", "nodeLabels", "storage"]),
  mayHelp: (pod, { storage }) => !storage || mayHelpBinding(pod, storage),
  begin(info, cluster) {
    const wanted = claimsOf(info, cluster);
    if (wanted.length === 0) return undefined;
    const claims: PersistentVolumeClaim[] = [];
    for (const one of wanted) {
      const { claim } = one;
      const problem = claimProblem(one, info.pod);
      if (problem) return { reject: rejection(problem, "final") };
      if (claim) claims.push(claim);
    }
    if (claims.some((claim) => !isBound(claim) && !waitsForConsumer(claim, cluster)))
      return { reject: rejection("pod has unbound immediate PersistentVolumeClaims", "final") };
    promises.forgetShown(cluster);
    return {
      filter({ node }) {
        if (!node) return undefined;
        const bound = againstBound(claims, node, cluster);
        const plan = planVolumes(claims, node, cluster, promises);
        // In upstream's order.
        const reasons = [
          ...(bound === unreached ? [unreached] : []),
          ...(plan === undefined ? ["node(s) didn't find available persistent volumes to bind"] : []),
          ...(plan === "not enough capacity" ? ["node(s) did not have enough free storage"] : []),
          ...(bound === absentVolume ? [absentVolume] : []),
        ];
        return reasons.length > 0 ? { reasons, preemptible: false } : undefined;
      },
    };
  },
  reserve(info, nodeName, cluster) {
    const node = cluster.node(nodeName)?.node;
    const claims = claimsOf(info, cluster).flatMap(({ claim }) => claim ?? []);
    const plans = node && planVolumes(claims, node, cluster, promises);
    if (!Array.isArray(plans)) return;
    const kept = plans.flatMap((plan) =>
      plan.kind === "bind" ? [{ claim: plan.claim, volume: plan.volume.metadata.name ?? "" }] : [],
    );
    promises.keep(info.uid, kept);
  },
  release: ({ uid }) => promises.release(uid),
});

const unreached = "node(s) didn't match PersistentVolume's node affinity";
const absentVolume = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";

/** The first thing wrong with the volumes that claims have already. */
function againstBound(
  claims: readonly PersistentVolumeClaim[],
  node: Node,
  cluster: ClusterView,
): typeof unreached | typeof absentVolume | undefined {
  for (const { spec } of claims.filter(isBound)) {
    const volume = cluster.lister(persistentVolumes).get(spec?.volumeName ?? "");
    if (!volume) return absentVolume;
    if (!volumeReaches(volume, node)) return unreached;
  }
  return undefined;
}

function claimProblem({ name, ephemeral, claim }: ClaimOfPod, { metadata: pod }: Pod): string | undefined {
  if (!claim) {
    return ephemeral
      ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`
      : `persistentvolumeclaim "${name}" not found`;
  }
  if (claim.status?.phase === "Lost")
    return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec?.volumeName}"`;
  if (claim.metadata.deletionTimestamp) return `persistentvolumeclaim "${name}" is being deleted`;
  const isOwn = claim.metadata.ownerReferences?.some(({ controller, uid }) => controller && uid === pod.uid);
  if (!ephemeral || isOwn) return undefined;
  return `PVC ${pod.namespace}/${name} was not created for pod ${pod.namespace}/${pod.name} (pod is not owner)`;
}

function waitsForConsumer(claim: PersistentVolumeClaim, cluster: ClusterView): boolean {
  const storageClass = cluster.lister(storageClasses).get(storageClassNameOf(claim));
  return storageClass?.volumeBindingMode === "WaitForFirstConsumer" && !claim.spec?.volumeName;
}
