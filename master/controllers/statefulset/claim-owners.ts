import { statefulSets } from "#shared/api/resources.ts";
import type { StatefulSet } from "#shared/api/types/apps-v1.generated.ts";
import type { PersistentVolumeClaim, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { OwnerReference } from "#shared/api/types/meta-v1.generated.ts";
import { controllerReference } from "#shared/client/controller-ref.ts";
import { isWanted } from "./ordinals.ts";

/*
 * Who owns a claim of a StatefulSet (KEP-1847): nobody keeps it, the set takes it along when it is deleted, and the pod
 * takes it along when it goes for a smaller size. All of it pure.
 */

type Owner = Pick<StatefulSet | Pod, "apiVersion" | "kind" | "metadata">;

const policyOf = ({ spec }: StatefulSet): { readonly scaled: boolean; readonly deleted: boolean } => ({
  scaled: spec.persistentVolumeClaimRetentionPolicy?.whenScaled === "Delete",
  deleted: spec.persistentVolumeClaimRetentionPolicy?.whenDeleted === "Delete",
});

const names = (reference: OwnerReference, { apiVersion, kind, metadata }: Owner): boolean =>
  reference.apiVersion === apiVersion && reference.kind === kind && reference.name === metadata.name;

/** Owners of the present set and pod, by kind; what the cache gives may lack its type. */
const asSet = (set: StatefulSet): Owner => ({ ...set, apiVersion: "apps/v1", kind: "StatefulSet" });
const asPod = (pod: Pod): Owner => ({ ...pod, apiVersion: "v1", kind: "Pod" });

/** The claim still belongs to a former object of the owner's name, and will go with it. */
function belongsToFormer({ metadata }: PersistentVolumeClaim, owner: Owner): boolean {
  const named = metadata.ownerReferences?.find((reference) => names(reference, owner));
  return named !== undefined && named.uid !== owner.metadata.uid;
}

export const belongsToFormerPod = (claim: PersistentVolumeClaim, set: StatefulSet, pod: Pod): boolean =>
  policyOf(set).scaled && belongsToFormer(claim, asPod(pod));

/** Something else controls the claim: the policy then does not touch it. */
export function hasOtherController(claim: PersistentVolumeClaim, set: StatefulSet, pod: Pod): boolean {
  const policy = policyOf(set);
  if (!policy.scaled && !policy.deleted) return false;
  return (claim.metadata.ownerReferences ?? []).some((reference) => {
    for (const owner of [asSet(set), asPod(pod)])
      if (names(reference, owner)) return reference.uid !== owner.metadata.uid;
    return reference.controller ?? false;
  });
}

/** The owners that the claim should have; undefined when it has them. */
export function ownersToWrite(claim: PersistentVolumeClaim, set: StatefulSet, pod: Pod): OwnerReference[] | undefined {
  const present = claim.metadata.ownerReferences ?? [];
  const [ownSet, ownPod] = [asSet(set), asPod(pod)];
  if (belongsToFormer(claim, ownSet) || belongsToFormer(claim, ownPod)) return undefined;
  const isOurs = ({ uid }: OwnerReference): boolean => uid === set.metadata.uid || uid === pod.metadata.uid;
  const others = present.filter((reference) => !names(reference, ownSet) && !names(reference, ownPod));
  if (hasOtherController(claim, set, pod)) return present.some(isOurs) ? others : undefined;
  const { scaled, deleted } = policyOf(set);
  const leaves = scaled && !isWanted(set, pod);
  const owners: Owner[] = leaves ? [ownPod] : deleted ? [ownSet] : [];
  const ours = present.filter(isOurs);
  const isUpToDate =
    ours.length === owners.length && ours.every(({ uid, controller }) => controller && uid === owners[0]?.metadata.uid);
  if (isUpToDate) return undefined;
  return [...others, ...owners.map(referenceTo)];
}

function referenceTo(owner: Owner): OwnerReference {
  if (owner.kind === "StatefulSet") return controllerReference(statefulSets, owner);
  const { name = "", uid = "" } = owner.metadata;
  return { apiVersion: "v1", kind: "Pod", name, uid, controller: true, blockOwnerDeletion: true };
}
