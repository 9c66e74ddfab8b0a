import { claimNameOf } from "#shared/api/pod-claims.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { persistentVolumeClaims, persistentVolumes, pods, volumeAttributesClasses } from "#shared/api/resources.ts";
import type { PersistentVolume, PersistentVolumeClaim, Pod } from "#shared/api/types/core-v1.generated.ts";
import { defineController, watching } from "#shared/client/controller.ts";
import { keepFinalizer } from "../protection-finalizer.ts";

const claimFinalizer = "kubernetes.io/pvc-protection";
const volumeFinalizer = "kubernetes.io/pv-protection";
const classFinalizer = "kubernetes.io/vac-protection";

/** Keys of the claims that a pod uses, also those made for its ephemeral volumes. */
export const claimKeysOf = (pod: Pod): string[] =>
  (pod.spec?.volumes ?? []).flatMap((volume) => {
    const claim = claimNameOf(pod, volume);
    return claim === undefined ? [] : [`${pod.metadata.namespace}/${claim}`];
  });

/** Its board has let go of all that it had, or nobody waits for the board: what is left of it waits for finalizers. */
const isShutDown = ({ metadata }: Pod): boolean =>
  metadata.deletionTimestamp !== undefined && metadata.deletionGracePeriodSeconds === 0;

/** A pod that has ended uses its claims as long as it is there; one without a board will never get one with a claim that is
 *  going. A claim made for a pod may be what the pod's own end waits for. */
function usesClaim(pod: Pod, { metadata }: PersistentVolumeClaim): boolean {
  if (!pod.spec?.nodeName) return false;
  const isOwner = metadata.ownerReferences?.some(({ controller, uid }) => controller && uid === pod.metadata.uid);
  return (pod.spec.volumes ?? []).some(
    ({ name, persistentVolumeClaim, ephemeral }) =>
      persistentVolumeClaim?.claimName === metadata.name ||
      (ephemeral && isOwner && !isShutDown(pod) && `${pod.metadata.name}-${name}` === metadata.name),
  );
}

/** A claim that is deleted stays until no pod uses it: data is not taken from under it. */
export const claimProtection = defineController({
  name: "persistentvolumeclaim-protection-controller",
  serviceAccount: "pvc-protection-controller",
  watches: [
    watching(persistentVolumeClaims),
    watching(pods, {
      indexes: { claim: claimKeysOf },
      enqueue: claimKeysOf,
      when: ({ type, object }) => type === "delete" || isShutDown(object),
    }),
  ],
  async reconcile(key, { lister, client }) {
    const claim = lister(persistentVolumeClaims).get(key);
    if (!claim) return;
    const inUse = (): boolean =>
      lister(pods)
        .byIndex("claim", key)
        .some((pod) => usesClaim(pod, claim));
    await keepFinalizer(client, persistentVolumeClaims, claim, claimFinalizer, inUse);
  },
});

/** A volume that is deleted stays while it is bound to a claim. */
export const volumeProtection = defineController({
  name: "persistentvolume-protection-controller",
  serviceAccount: "pv-protection-controller",
  watches: [watching(persistentVolumes)],
  async reconcile(key, { lister, client }) {
    const volume = lister(persistentVolumes).get(key);
    if (volume)
      await keepFinalizer(client, persistentVolumes, volume, volumeFinalizer, () => volume.status?.phase === "Bound");
  },
});

const given = (...names: readonly (string | undefined)[]): string[] =>
  names.flatMap((name) => (name === undefined || name === "" ? [] : [name]));

/** The attributes classes that a claim has, wants, or is on its way to. */
const classesOfClaim = ({ spec, status }: PersistentVolumeClaim): string[] =>
  given(
    spec?.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  );
const classesOfVolume = ({ spec }: PersistentVolume): string[] => given(spec?.volumeAttributesClassName);

/** A class of volume attributes that is deleted stays while a volume or a claim names it. */
export const attributesClassProtection = defineController({
  name: "volumeattributesclass-protection-controller",
  serviceAccount: "volumeattributesclass-protection-controller",
  watches: [
    watching(volumeAttributesClasses),
    watching(persistentVolumeClaims, { indexes: { attributesClass: classesOfClaim }, enqueue: classesOfClaim }),
    watching(persistentVolumes, { indexes: { attributesClass: classesOfVolume }, enqueue: classesOfVolume }),
  ],
  async reconcile(name, { lister, client }) {
    const attributesClass = lister(volumeAttributesClasses).get(name);
    if (!attributesClass) return;
    const namedBy = (ref: ResourceRef): boolean => lister(ref).byIndex("attributesClass", name).length > 0;
    const inUse = (): boolean => namedBy(persistentVolumes) || namedBy(persistentVolumeClaims);
    await keepFinalizer(client, volumeAttributesClasses, attributesClass, classFinalizer, inUse);
  },
});
