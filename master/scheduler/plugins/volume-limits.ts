import { csiNodes, persistentVolumes, storageClasses, volumeAttachments } from "#shared/api/resources.ts";
import { isBound } from "#shared/api/scheduling/volume-match.ts";
import { storageClassNameOf } from "#shared/api/storage-class-name.ts";
import type { PersistentVolume } from "#shared/api/types/core-v1.generated.ts";
import type { CSINode, StorageClass, VolumeAttachment } from "#shared/api/types/storage-v1.generated.ts";
import { type ClusterView, rejection, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";
import { type ClaimOfPod, claimNamesOf, claimsOf, isClaimOf } from "./volumes.ts";

/** Volumes of CSI drivers by a name of their own, with their driver. */
type DriverOfVolume = Map<string, string>;

/** A driver may say in its CSINode how many volumes one node can have. */
export const nodeVolumeLimits: SchedulerPlugin = {
  name: "NodeVolumeLimits",
  wokenBy: new Set(["nodeAdded", "podDeleted", "storage"]),
  mayHelp(pod, { freed, storage }) {
    if (freed) return claimNamesOf(freed).length > 0;
    switch (storage?.of) {
      case "csiNode":
        return storage.now !== undefined && (!storage.before || allowsMore(storage.now, storage.before));
      case "claim":
        return isClaimOf(pod, storage.now);
      case "attachment":
        return storage.now === undefined && claimNamesOf(pod).length > 0;
      default:
        return storage === undefined;
    }
  },
  begin(info, cluster) {
    const wanted = csiVolumesOf(info, cluster);
    if (wanted.size === 0) return undefined;
    const attachedTo = attachmentsByNode(cluster);
    return {
      filter(node) {
        const limits = limitsOf(cluster.lister(csiNodes).get(node.name));
        if (limits.size === 0) return undefined;
        const present = presentOn(node, cluster, attachedTo(node.name));
        const counts = new Map<string, number>();
        for (const driver of present.values()) counts.set(driver, (counts.get(driver) ?? 0) + 1);
        for (const [volume, driver] of wanted)
          if (!present.has(volume)) counts.set(driver, (counts.get(driver) ?? 0) + 1);
        for (const driver of new Set(wanted.values())) {
          const limit = limits.get(driver);
          const adds = [...wanted].some(([volume, own]) => own === driver && !present.has(volume));
          if (limit !== undefined && adds && (counts.get(driver) ?? 0) > limit)
            return rejection("node(s) exceed max volume count", "preemptible");
        }
        return undefined;
      },
    };
  },
};

/** How many volumes of each driver the node takes at most, for those that say so. */
function limitsOf(csiNode: CSINode | undefined): ReadonlyMap<string, number> {
  const limits = new Map<string, number>();
  for (const { name, allocatable } of csiNode?.spec.drivers ?? [])
    if (allocatable?.count !== undefined) limits.set(name, allocatable.count);
  return limits;
}

function allowsMore(now: CSINode, before: CSINode): boolean {
  const limits = limitsOf(now);
  return [...limitsOf(before)].some(([driver, limit]) => (limits.get(driver) ?? Number.POSITIVE_INFINITY) > limit);
}

const nameOf = ({ spec }: PersistentVolume): string => `${spec?.csi?.driver}/${spec?.csi?.volumeHandle}`;

function csiVolumesOf(info: PodInfo, cluster: ClusterView): DriverOfVolume {
  const found: DriverOfVolume = new Map();
  for (const { claim } of claimsOf(info, cluster)) {
    if (!claim) continue;
    if (isBound(claim)) {
      const volume = cluster.lister(persistentVolumes).get(claim.spec?.volumeName ?? "");
      const driver = volume?.spec?.csi?.driver;
      if (volume && driver !== undefined) found.set(nameOf(volume), driver);
    } else {
      // To be made: it will be of its class's driver.
      const driver = cluster.lister(storageClasses).get(storageClassNameOf(claim))?.provisioner;
      if (driver !== undefined) found.set(`claim ${claim.metadata.uid}`, driver);
    }
  }
  return found;
}

/** Of each node; looked through once for a pod, with the first node that asks. */
function attachmentsByNode(cluster: ClusterView): (node: string) => readonly VolumeAttachment[] {
  let byNode: Map<string, VolumeAttachment[]> | undefined;
  return (node) => {
    byNode ??= Map.groupBy(cluster.lister(volumeAttachments).list(), ({ spec }) => spec.nodeName);
    return byNode.get(node) ?? [];
  };
}

/** What pods of the node use, and what is still attached to it. */
function presentOn(node: NodeInfo, cluster: ClusterView, attachments: readonly VolumeAttachment[]): DriverOfVolume {
  const present: DriverOfVolume = new Map();
  for (const other of node.pods.values())
    for (const [volume, driver] of csiVolumesOf(other, cluster)) present.set(volume, driver);
  for (const { spec } of attachments) {
    const volume = cluster.lister(persistentVolumes).get(spec.source.persistentVolumeName ?? "");
    if (volume?.spec?.csi) present.set(nameOf(volume), spec.attacher);
  }
  return present;
}

const zoneLabels = [
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
] as const;
const stableName: Readonly<Record<string, string>> = {
  "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
};

interface ZoneDemand {
  readonly label: string;
  readonly values: ReadonlySet<string>;
}

/** Several zones stand in one label as `a__b`; one that is written otherwise is passed over. */
const zonesOf = ({ metadata }: PersistentVolume): ZoneDemand[] =>
  zoneLabels.flatMap((label) => {
    const values = metadata.labels?.[label]?.split("__");
    return values === undefined || values.includes("") ? [] : [{ label, values: new Set(values) }];
  });

/** The claim's volume; undefined while it waits for its consumer, or why there is none. */
function volumeOf({ name, claim }: ClaimOfPod, cluster: ClusterView): PersistentVolume | string | undefined {
  if (!claim?.spec) return `persistentvolumeclaim "${name}" not found`;
  const { volumeName, storageClassName } = claim.spec;
  if (volumeName)
    return cluster.lister(persistentVolumes).get(volumeName) ?? `persistentvolume "${volumeName}" not found`;
  if (!storageClassName) return "PersistentVolumeClaim had no pv name and storageClass name";
  const storageClass = cluster.lister(storageClasses).get(storageClassName);
  if (!storageClass) return `storageclass.storage.k8s.io "${storageClassName}" not found`;
  return waitsForConsumer(storageClass) ? undefined : "PersistentVolume had no name";
}

const waitsForConsumer = ({ volumeBindingMode }: StorageClass): boolean => volumeBindingMode === "WaitForFirstConsumer";

const sameZones = (a: PersistentVolume, b: PersistentVolume): boolean =>
  zoneLabels.every((label) => a.metadata.labels?.[label] === b.metadata.labels?.[label]);

/** Volumes whose labels name zones are used from those; older ones say it so instead of by affinity. */
export const volumeZone: SchedulerPlugin = {
  name: "VolumeZone",
  wokenBy: new Set(["nodeAdded", "nodeLabels", "storage"]),
  mayHelp(pod, { storage }) {
    switch (storage?.of) {
      case "claim":
        return isClaimOf(pod, storage.now);
      case "volume":
        return storage.now !== undefined && (!storage.before || !sameZones(storage.now, storage.before));
      case "storageClass":
        return storage.now !== undefined && !storage.before && waitsForConsumer(storage.now);
      default:
        return storage === undefined;
    }
  },
  begin(info, cluster) {
    const demands: ZoneDemand[] = [];
    for (const one of claimsOf(info, cluster)) {
      if (one.ephemeral) continue;
      const volume = volumeOf(one, cluster);
      if (typeof volume === "string") return { reject: rejection(volume, "final") };
      if (volume) demands.push(...zonesOf(volume));
    }
    if (demands.length === 0) return undefined;
    return {
      filter({ labels }) {
        // A node that tells no zone at all belongs to a cluster without any.
        if (!zoneLabels.some((label) => labels[label] !== undefined)) return undefined;
        const fits = demands.every(({ label, values }) =>
          values.has(labels[label] ?? labels[stableName[label] ?? ""] ?? ""),
        );
        return fits ? undefined : rejection("node(s) had no available volume zone", "final");
      },
    };
  },
};
