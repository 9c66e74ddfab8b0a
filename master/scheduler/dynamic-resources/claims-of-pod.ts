import { deviceClasses, resourceClaims } from "#shared/api/resources.ts";
import {
  claimOfPod,
  isOwnedByPod,
  isReservedForPod,
  mostConsumers,
} from "#shared/api/scheduling/pod-resource-claims.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceClaim } from "#shared/api/types/resource-v1.generated.ts";
import type { ClusterView } from "../framework.ts";

/** The pod cannot be scheduled for its claims. */
export interface Refused {
  /** Why the pod has to wait. */
  readonly reject: string;
}

/** The pod's claims; none where it has none. */
export function claimsFor(pod: Pod, cluster: ClusterView): { readonly all: readonly ResourceClaim[] } | Refused {
  const all: ResourceClaim[] = [];
  const { namespace, name: podName } = pod.metadata;
  for (const entry of pod.spec?.resourceClaims ?? []) {
    const named = claimOfPod(pod, entry);
    if (named.kind === "not needed") continue;
    if (named.kind === "to be made") return { reject: `pod "${namespace}/${podName}": ResourceClaim not created yet` };
    const { name } = named;
    const claim = cluster.lister(resourceClaims).get(`${namespace}/${name}`);
    if (!claim) return { reject: `resourceclaim "${name}" not found` };
    if (claim.metadata.deletionTimestamp) return { reject: `resourceclaim "${name}" is being deleted` };
    if (named.generated && !isOwnedByPod(claim, pod))
      return {
        reject: `ResourceClaim ${namespace}/${name} was not created for pod ${namespace}/${podName} (pod is not owner)`,
      };
    all.push(claim);
  }
  return { all };
}

/** The claims by whether they have devices. */
export function byState(
  claims: readonly ResourceClaim[],
  pod: Pod,
  cluster: ClusterView,
): { readonly allocated: ResourceClaim[]; readonly open: ResourceClaim[] } | Refused {
  const allocated: ResourceClaim[] = [];
  const open: ResourceClaim[] = [];
  for (const claim of claims) {
    if (claim.status?.allocation) {
      if (!isReservedForPod(claim, pod) && (claim.status.reservedFor ?? []).length >= mostConsumers)
        return { reject: "resourceclaim in use" };
      allocated.push(claim);
      continue;
    }
    const missing = missingClass(claim, cluster);
    if (missing) return { reject: missing };
    open.push(claim);
  }
  return { allocated, open };
}

function missingClass({ spec }: ResourceClaim, cluster: ClusterView): string | undefined {
  for (const { name, exactly, firstAvailable = [] } of spec.devices?.requests ?? []) {
    const wanted = exactly
      ? [{ name, deviceClassName: exactly.deviceClassName }]
      : firstAvailable.map((one) => ({ name: `${name}/${one.name}`, deviceClassName: one.deviceClassName }));
    for (const one of wanted)
      if (!cluster.lister(deviceClasses).get(one.deviceClassName))
        return `request ${one.name}: device class ${one.deviceClassName} does not exist`;
  }
  return undefined;
}
