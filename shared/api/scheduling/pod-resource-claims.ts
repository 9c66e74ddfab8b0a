/** Which ResourceClaims a pod uses (KEP-4381). */
import type { Pod, PodResourceClaim } from "../types/core-v1.generated.ts";
import type { ResourceClaim } from "../types/resource-v1.generated.ts";

/** Set while a claim is allocated, so that devices are not given away under a pod. */
export const claimProtectionFinalizer = "resource.kubernetes.io/delete-protection";
/** Says for which of its pod's entries a claim was made out of a template. */
export const podClaimAnnotation = "resource.kubernetes.io/pod-claim-name";

export type ClaimOfPod =
  /** `generated`: out of a template, so it has to be the pod's own. */
  | { readonly kind: "named"; readonly name: string; readonly generated: boolean }
  | { readonly kind: "to be made" }
  | { readonly kind: "not needed" };

/** The claim behind one entry of a pod's `spec.resourceClaims`. */
export function claimOfPod({ status }: Pod, entry: PodResourceClaim): ClaimOfPod {
  if (entry.resourceClaimName !== undefined) return { kind: "named", name: entry.resourceClaimName, generated: false };
  const made = status?.resourceClaimStatuses?.find(({ name }) => name === entry.name);
  if (!made) return { kind: "to be made" };
  return made.resourceClaimName === undefined
    ? { kind: "not needed" }
    : { kind: "named", name: made.resourceClaimName, generated: true };
}

/** Keys of all claims of a pod that have a name. */
export const resourceClaimKeysOf = (pod: Pod): string[] =>
  (pod.spec?.resourceClaims ?? []).flatMap((entry) => {
    const claim = claimOfPod(pod, entry);
    return claim.kind === "named" ? [`${pod.metadata.namespace}/${claim.name}`] : [];
  });

export const isOwnedByPod = ({ metadata }: ResourceClaim, pod: Pod): boolean =>
  metadata.namespace === pod.metadata.namespace &&
  (metadata.ownerReferences?.some(({ controller, uid }) => controller && uid === pod.metadata.uid) ?? false);

export const isReservedForPod = ({ status }: ResourceClaim, pod: Pod): boolean =>
  status?.reservedFor?.some(({ uid }) => uid === pod.metadata.uid) ?? false;

/** Consumers of one claim at most; the API allows no more. */
export const mostConsumers = 256;
