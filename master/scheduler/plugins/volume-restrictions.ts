import { persistentVolumeClaims } from "#shared/api/resources.ts";
import type { PersistentVolumeClaim } from "#shared/api/types/core-v1.generated.ts";
import { areSameDisk, exclusiveDisksOf } from "../exclusive-disks.ts";
import { type ClusterView, rejection, type SchedulerPlugin } from "../framework.ts";
import type { PodInfo } from "../pod-info.ts";

const noDisk = "node(s) had no available disk";
const inUseElsewhere =
  "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod";

/** What only one may use at a time: a claim with ReadWriteOncePod one pod of the cluster; a disk one pod of a node. */
export const volumeRestrictions: SchedulerPlugin = {
  name: "VolumeRestrictions",
  wokenBy: new Set(["nodeAdded", "podDeleted", "storage"]),
  mayHelp(pod, { freed, storage }) {
    const names = claimNamesOf(pod);
    if (storage) {
      if (storage.of !== "claim") return false;
      const claim = storage.now?.metadata;
      return claim?.namespace === pod.namespace && names.includes(claim.name ?? "");
    }
    if (!freed) return true;
    if (freed.namespace !== pod.namespace) return false;
    return claimNamesOf(freed).some((name) => names.includes(name)) || sharesDisk(pod, freed);
  },
  begin(info, cluster) {
    const names = claimNamesOf(info);
    const claims: PersistentVolumeClaim[] = [];
    for (const name of names) {
      const claim = cluster.lister(persistentVolumeClaims).get(`${info.namespace}/${name}`);
      if (!claim) return { reject: rejection(`persistentvolumeclaim "${name}" not found`, "final") };
      claims.push(claim);
    }
    const isTaken = claims
      .filter(({ spec }) => spec?.accessModes?.includes("ReadWriteOncePod"))
      .some(({ metadata }) => isUsed(metadata.name ?? "", info.namespace, cluster));
    const hasDisks = exclusiveDisksOf(info.pod).length > 0;
    if (!isTaken && !hasDisks) return undefined;
    return {
      filter({ pods }) {
        if (hasDisks)
          for (const other of pods.values()) if (sharesDisk(info, other)) return rejection(noDisk, "preemptible");
        return isTaken ? rejection(inUseElsewhere, "preemptible") : undefined;
      },
    };
  },
};

/** Claims that the pod names itself. */
const claimNamesOf = ({ pod }: PodInfo): string[] =>
  (pod.spec?.volumes ?? []).flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? []);

const isUsed = (claimName: string, namespace: string, cluster: ClusterView): boolean =>
  cluster
    .nodes()
    .some(({ pods }) =>
      [...pods.values()].some((other) => other.namespace === namespace && claimNamesOf(other).includes(claimName)),
    );

const sharesDisk = ({ pod }: PodInfo, other: PodInfo): boolean =>
  exclusiveDisksOf(pod).some((own) => exclusiveDisksOf(other.pod).some((theirs) => areSameDisk(own, theirs)));
