import { byAge } from "#shared/api/object.ts";
import type { Deployment, ReplicaSet } from "#shared/api/types/apps-v1.generated.ts";
import { scaledValue } from "../pod-control/int-or-percent.ts";
import { desiredReplicasOf, maxReplicasOf } from "./annotations.ts";

/* How many pods each ReplicaSet of a Deployment should have; all of it pure. */

export const replicasOf = ({ spec }: Deployment | ReplicaSet): number => spec.replicas ?? 1;

const isRollingUpdate = ({ spec }: Deployment): boolean => (spec.strategy?.type ?? "RollingUpdate") === "RollingUpdate";

/** Surge and unavailability in pods. Both zero would never get anywhere: then one pod may be unavailable. */
function fenceposts({ spec }: Deployment): { surge: number; unavailable: number } {
  const { maxSurge, maxUnavailable } = spec.strategy?.rollingUpdate ?? {};
  const surge = scaledValue(maxSurge, spec.replicas ?? 1, "up");
  const unavailable = scaledValue(maxUnavailable, spec.replicas ?? 1, "down");
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

export const maxSurgeOf = (deployment: Deployment): number =>
  isRollingUpdate(deployment) ? fenceposts(deployment).surge : 0;

/** How many pods may be missing during a rolling update. */
export function maxUnavailableOf(deployment: Deployment): number {
  if (!isRollingUpdate(deployment) || replicasOf(deployment) === 0) return 0;
  return Math.min(fenceposts(deployment).unavailable, replicasOf(deployment));
}

export const sum = (replicaSets: readonly ReplicaSet[], of: (one: ReplicaSet) => number | undefined): number =>
  replicaSets.reduce((total, one) => total + (of(one) ?? 0), 0);

export const isActive = (replicaSet: ReplicaSet): boolean => replicasOf(replicaSet) > 0;

/** The size of the ReplicaSet with the present template: all at once, or as far as the surge allows. */
export function newReplicaSetSize(deployment: Deployment, all: readonly ReplicaSet[], current: number): number {
  const wanted = replicasOf(deployment);
  if (!isRollingUpdate(deployment)) return wanted;
  const most = wanted + scaledValue(deployment.spec.strategy?.rollingUpdate?.maxSurge, wanted, "up");
  const total = sum(all, replicasOf);
  if (total >= most) return current;
  return current + Math.min(most - total, wanted - current);
}

export interface Resize {
  readonly replicaSet: ReplicaSet;
  readonly replicas: number;
}

/** Pods that will still be available once a ReplicaSet has the size that it was given: its status may tell of more
 *  until it has caught up, and pods that are about to go must not make up for those that are taken next. */
const availableOf = (replicaSet: ReplicaSet): number =>
  Math.min(replicaSet.status?.availableReplicas ?? 0, replicasOf(replicaSet));

/** Old ReplicaSets that give way: first their pods that are not available, then as many as availability allows. */
export function scaleDownOld(deployment: Deployment, current: ReplicaSet, old: readonly ReplicaSet[]): Resize[] {
  const active = old.filter(isActive).toSorted(byAge);
  if (active.length === 0) return [];
  const minAvailable = replicasOf(deployment) - maxUnavailableOf(deployment);
  const currentUnavailable = replicasOf(current) - availableOf(current);
  let mayClean = sum([...active, current], replicasOf) - minAvailable - currentUnavailable;
  if (mayClean <= 0) return [];

  const sizes = new Map(active.map((one) => [one, replicasOf(one)]));
  for (const one of active) {
    const size = replicasOf(one);
    const unhealthy = size - availableOf(one);
    const fewer = Math.min(Math.max(mayClean, 0), unhealthy);
    sizes.set(one, size - fewer);
    mayClean -= fewer;
  }

  let mayRemove = sum([...active, current], availableOf) - minAvailable;
  for (const one of active) {
    const size = sizes.get(one) ?? 0;
    const fewer = Math.min(size, Math.max(mayRemove, 0));
    sizes.set(one, size - fewer);
    mayRemove -= fewer;
  }
  return active
    .map((replicaSet) => ({ replicaSet, replicas: sizes.get(replicaSet) ?? 0 }))
    .filter(({ replicaSet, replicas }) => replicas !== replicasOf(replicaSet));
}

/** The one active ReplicaSet, or the newest when none is; undefined when several are active. */
function activeOrLatest(current: ReplicaSet | undefined, old: readonly ReplicaSet[]): ReplicaSet | undefined {
  const active = [...old, ...(current ? [current] : [])].filter(isActive);
  if (active.length === 0) return current ?? old.toSorted(byAge).at(-1);
  return active.length === 1 ? active[0] : undefined;
}

/** The rollout is over and at full size. */
const isSaturated = (deployment: Deployment, current: ReplicaSet): boolean =>
  replicasOf(current) === replicasOf(deployment) &&
  desiredReplicasOf(current) === replicasOf(deployment) &&
  current.status?.availableReplicas === replicasOf(deployment);

/** Sizes after the Deployment's number changed outside of a rollout step (or in one that is paused): one ReplicaSet
 *  takes it all; several share by their proportions. An entry may keep the size and only renew the annotations. */
export function scale(deployment: Deployment, current: ReplicaSet | undefined, old: readonly ReplicaSet[]): Resize[] {
  const only = activeOrLatest(current, old);
  if (only) {
    const replicas = replicasOf(deployment);
    return replicasOf(only) === replicas ? [] : [{ replicaSet: only, replicas }];
  }
  if (current && isSaturated(deployment, current))
    return old.filter(isActive).map((replicaSet) => ({ replicaSet, replicas: 0 }));
  if (!isRollingUpdate(deployment)) return [];
  return proportionalSizes(deployment, [...old, ...(current ? [current] : [])].filter(isActive));
}

function proportionalSizes(deployment: Deployment, active: readonly ReplicaSet[]): Resize[] {
  const wanted = replicasOf(deployment);
  const allowed = wanted > 0 ? wanted + maxSurgeOf(deployment) : 0;
  const toAdd = allowed - sum(active, replicasOf);
  const newerFirst = toAdd > 0;
  const sorted = active.toSorted((a, b) => replicasOf(b) - replicasOf(a) || (newerFirst ? byAge(b, a) : byAge(a, b)));
  let added = 0;
  const sizes = sorted.map((replicaSet) => {
    const part = proportion(deployment, replicaSet, toAdd, added);
    added += part;
    return { replicaSet, replicas: replicasOf(replicaSet) + part };
  });
  // What rounding left over goes to the largest.
  return sizes.map((size, index) =>
    index === 0 ? { ...size, replicas: Math.max(0, size.replicas + toAdd - added) } : size,
  );
}

function proportion(deployment: Deployment, replicaSet: ReplicaSet, toAdd: number, added: number): number {
  if (replicasOf(replicaSet) === 0 || toAdd === 0 || toAdd === added) return 0;
  const fraction = fractionOf(deployment, replicaSet);
  return toAdd > 0 ? Math.min(fraction, toAdd - added) : Math.max(fraction, toAdd - added);
}

function fractionOf(deployment: Deployment, replicaSet: ReplicaSet): number {
  const size = replicasOf(replicaSet);
  const wanted = replicasOf(deployment);
  if (wanted === 0) return -size;
  const before = maxReplicasOf(replicaSet) || (deployment.status?.replicas ?? 0);
  if (before === 0) return 0;
  return Math.round((size * (wanted + maxSurgeOf(deployment))) / before) - size;
}
