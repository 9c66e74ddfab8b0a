import type { Pod, Volume } from "#shared/api/types/core-v1.generated.ts";

/** Volumes named in the pod itself that cannot be written to from several pods. */
export const isExclusiveDisk = ({ gcePersistentDisk, awsElasticBlockStore, iscsi, rbd }: Volume): boolean =>
  [gcePersistentDisk, awsElasticBlockStore, iscsi, rbd].some((source) => source !== undefined);

export const exclusiveDisksOf = ({ spec }: Pod): Volume[] => (spec?.volumes ?? []).filter(isExclusiveDisk);

/** Whether two pods on one node would be in each other's way. Read by all is no conflict, but for EBS. */
export function areSameDisk(a: Volume, b: Volume): boolean {
  const [gce, otherGce] = [a.gcePersistentDisk, b.gcePersistentDisk];
  if (gce && otherGce && gce.pdName === otherGce.pdName && !(gce.readOnly && otherGce.readOnly)) return true;
  const [ebs, otherEbs] = [a.awsElasticBlockStore, b.awsElasticBlockStore];
  if (ebs && otherEbs && ebs.volumeID === otherEbs.volumeID) return true;
  const [iscsi, otherIscsi] = [a.iscsi, b.iscsi];
  if (iscsi && otherIscsi && iscsi.iqn === otherIscsi.iqn && !(iscsi.readOnly && otherIscsi.readOnly)) return true;
  const [rbd, otherRbd] = [a.rbd, b.rbd];
  if (!rbd || !otherRbd || (rbd.readOnly && otherRbd.readOnly)) return false;
  const isSame = rbd.image === otherRbd.image && rbd.pool === otherRbd.pool;
  return isSame && rbd.monitors.some((monitor) => otherRbd.monitors.includes(monitor));
}
