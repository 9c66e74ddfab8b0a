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

/** A revision as its text says; undefined for what is no int64. Revisions need all 64 bits: anybody may write them. */
export function parseRevision(text: string): bigint | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const revision = BigInt(text.replace("+", ""));
  return BigInt.asIntN(64, revision) === revision ? revision : undefined;
}

/** The revision that the object bears; 0 for none, undefined for one that is no number. */
export function revisionOf({ metadata }: Deployment | ReplicaSet): bigint | undefined {
  const text = metadata.annotations?.[revisionAnnotation];
  return text === undefined ? 0n : parseRevision(text);
}

/** For sorting by revision, the oldest first. */
export const byRevision = (a: ReplicaSet, b: ReplicaSet): number =>
  Number((revisionOf(a) ?? 0n) - (revisionOf(b) ?? 0n));

const revisionAt = (replicaSets: readonly ReplicaSet[], fromEnd: number): bigint => {
  const found = replicaSets.toSorted(byRevision).at(-fromEnd);
  const revision = found && revisionOf(found);
  return revision !== undefined && revision > 0n ? revision : 0n;
};

/** The greatest revision of all. */
export const maxRevision = (replicaSets: readonly ReplicaSet[]): bigint => revisionAt(replicaSets, 1);

/** The revision before the newest; 0 when there is none. */
export const lastRevision = (replicaSets: readonly ReplicaSet[]): bigint => revisionAt(replicaSets, 2);

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
export function currentAnnotations(deployment: Deployment, present: Annotations, revision: bigint): Annotations {
  const annotations = { ...present, ...sharedAnnotations(deployment.metadata.annotations) };
  const old = present[revisionAnnotation];
  const oldRevision = old === undefined || old === "" ? 0n : parseRevision(old);
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
