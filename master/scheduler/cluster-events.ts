import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ClusterChange } from "./framework.ts";

/** What of a node changed, as far as scheduling is concerned. */
export function nodeChanges(old: Node, now: Node): ClusterChange[] {
  const changes: ClusterChange[] = [];
  const differ = (a: unknown, b: unknown): boolean => JSON.stringify(a) !== JSON.stringify(b);
  if (differ(old.status?.allocatable, now.status?.allocatable)) changes.push("nodeAllocatable");
  if (differ(old.metadata.labels, now.metadata.labels)) changes.push("nodeLabels");
  if (differ(old.spec?.taints, now.spec?.taints)) changes.push("nodeTaints");
  if (old.spec?.unschedulable !== now.spec?.unschedulable) changes.push("nodeOther");
  return changes;
}

/** What of a pod changed: of one that has its node for the others, of one that waits for itself. */
export function podChanges(old: Pod, now: Pod): ClusterChange[] {
  const changes: ClusterChange[] = [];
  const differ = (a: unknown, b: unknown): boolean => JSON.stringify(a) !== JSON.stringify(b);
  if (differ(old.metadata.labels, now.metadata.labels)) changes.push("podLabels");
  if (differ(old.spec?.tolerations, now.spec?.tolerations)) changes.push("podTolerations");
  const resources = ({ spec, status }: Pod): unknown => [
    spec?.containers.map((container) => container.resources),
    status?.containerStatuses?.map(({ allocatedResources, resources }) => [allocatedResources, resources]),
  ];
  if (differ(resources(old), resources(now))) changes.push("podResized");
  return changes;
}
