import type { Deployment, ReplicaSet } from "#shared/api/types/apps-v1.generated.ts";

export const revisionAnnotation = "deployment.kubernetes.io/revision";
export const rollbackToAnnotation = "deprecated.deployment.rollback.to";
const revisionHistoryAnnotation = "deployment.kubernetes.io/revision-history";
const desiredReplicasAnnotation = "deployment.kubernetes.io/desired-replicas";
const maxReplicasAnnotation = "deployment.kubernetes.io/max-replicas";

/** Characters of the list of a ReplicaSet's former revisions. */
const longestHistory = 2000;

/** Not copied from a Deployment to its ReplicaSets. */
const ownAnnotations: ReadonlySet<string> = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  rollbackToAnnotation,
]);

type Annotations = Record<string, string>;

/** The revision that the object bears; 0 for none, undefined for one that is no number. */
export function revisionOf({ metadata }: Deployment | ReplicaSet): number | undefined {
  const text = metadata.annotations?.[revisionAnnotation];
  if (text === undefined) return 0;
  return /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** The greatest revision of all. */
export const maxRevision = (replicaSets: readonly ReplicaSet[]): number =>
  Math.max(0, ...replicaSets.map((one) => revisionOf(one) ?? 0));

/** The revision before the newest; 0 when there is none. */
export function lastRevision(replicaSets: readonly ReplicaSet[]): number {
  const revisions = replicaSets.map((one) => revisionOf(one) ?? 0).sort((a, b) => b - a);
  return Math.max(0, revisions[1] ?? 0);
}

/** How many replicas the Deployment wanted when the ReplicaSet was last sized; undefined when that is not known. */
export const desiredReplicasOf = (replicaSet: ReplicaSet): number | undefined =>
  countOf(replicaSet, desiredReplicasAnnotation);

/** Replicas and surge of the Deployment when the ReplicaSet was last sized. */
export const maxReplicasOf = (replicaSet: ReplicaSet): number | undefined => countOf(replicaSet, maxReplicasAnnotation);

function countOf({ metadata }: ReplicaSet, annotation: string): number | undefined {
  const text = metadata.annotations?.[annotation];
  if (text === undefined || !/^\d+$/.test(text)) return undefined;
  const count = Number(text);
  return count < 2 ** 31 ? count : undefined;
}

/** What a ReplicaSet notes about its Deployment's size: the replicas wanted, and those with the surge. */
export const sizeAnnotations = (desired: number, most: number): Annotations => ({
  [desiredReplicasAnnotation]: String(desired),
  [maxReplicasAnnotation]: String(most),
});

/** The annotations of the Deployment's present ReplicaSet: those of the Deployment, the revision, and the revisions that
 *  it had before, when an older template is used again. */
export function currentAnnotations(deployment: Deployment, present: Annotations, revision: number): Annotations {
  const annotations = { ...present, ...sharedAnnotations(deployment.metadata.annotations) };
  const old = present[revisionAnnotation];
  const oldRevision = old === undefined || old === "" ? 0 : /^-?\d+$/.test(old) ? Number(old) : undefined;
  if (oldRevision === undefined || oldRevision >= revision) return annotations;
  annotations[revisionAnnotation] = String(revision);
  if (old !== undefined)
    annotations[revisionHistoryAnnotation] = historyWith(present[revisionHistoryAnnotation] ?? "", old);
  return annotations;
}

function historyWith(history: string, revision: string): string {
  const revisions = history === "" ? [] : history.split(",");
  const kept = [...revisions, revision];
  while (kept.length > 1 && kept.join(",").length > longestHistory) kept.shift();
  return kept.join(",");
}

const sharedAnnotations = (annotations: Annotations = {}): Annotations =>
  Object.fromEntries(Object.entries(annotations).filter(([key]) => !ownAnnotations.has(key)));

/** The Deployment's annotations after going back to the ReplicaSet's template. */
export function annotationsAfterRollback(deployment: Deployment, target: ReplicaSet): Annotations {
  const own = Object.entries(deployment.metadata.annotations ?? {}).filter(([key]) => ownAnnotations.has(key));
  return { ...Object.fromEntries(own), ...sharedAnnotations(target.metadata.annotations) };
}
