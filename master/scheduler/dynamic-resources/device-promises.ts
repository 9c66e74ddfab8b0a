import { keyOf } from "#shared/api/object.ts";
import { resourceClaims } from "#shared/api/resources.ts";
import type { AllocationResult, ResourceClaim } from "#shared/api/types/resource-v1.generated.ts";
import type { ClusterView } from "../framework.ts";

interface Promised {
  readonly claimKey: string;
  readonly allocation: AllocationResult;
}

const uidOf = ({ metadata }: ResourceClaim): string => metadata.uid ?? "";

/** Devices that pods have been promised and the cache does not show yet. */
export class DevicePromises {
  /** By the claim's UID. */
  readonly #promised = new Map<string, Promised>();
  /** UIDs of claims whose devices are kept for a pod on its way to a node and not written yet, by the pod's UID. */
  readonly #unwritten = new Map<string, Set<string>>();
  /** Claims that say that a pod on its way to a node uses them, by the pod's UID. */
  readonly #reserved = new Map<string, ResourceClaim[]>();

  /** What the claim has been promised. */
  of(claim: ResourceClaim): AllocationResult | undefined {
    return this.#promised.get(uidOf(claim))?.allocation;
  }

  /** All that has been promised. */
  allocations(): AllocationResult[] {
    return [...this.#promised.values()].map(({ allocation }) => allocation);
  }

  /** Promises devices to the claims of a pod whose node is chosen. */
  keep(
    podUid: string,
    kept: readonly { readonly claim: ResourceClaim; readonly allocation: AllocationResult }[],
  ): void {
    for (const { claim, allocation } of kept) this.#promised.set(uidOf(claim), { claimKey: keyOf(claim), allocation });
    this.#unwritten.set(podUid, new Set(kept.map(({ claim }) => uidOf(claim))));
  }

  /** The API has it. */
  written(podUid: string, claim: ResourceClaim): void {
    this.#unwritten.get(podUid)?.delete(uidOf(claim));
    this.#reserved.set(podUid, [...this.reservedFor(podUid), claim]);
  }

  /** What was written for the pod since its node was chosen; the cache need not show it yet. */
  reservedFor(podUid: string): readonly ResourceClaim[] {
    return this.#reserved.get(podUid) ?? [];
  }

  /** The pod is bound or will not be. What was written stays promised until the cache shows it. */
  release(podUid: string): void {
    for (const uid of this.#unwritten.get(podUid) ?? []) this.#promised.delete(uid);
    this.#unwritten.delete(podUid);
    this.#reserved.delete(podUid);
  }

  /** What the cache shows, or cannot show any more, needs no promise. */
  forgetShown(cluster: ClusterView): void {
    for (const [uid, { claimKey }] of this.#promised) {
      const claim = cluster.lister(resourceClaims).get(claimKey);
      if (claim?.metadata.uid !== uid || claim.status?.allocation) this.#promised.delete(uid);
    }
  }
}
