import { isTerminal } from "#shared/api/pod-phase.ts";
import { pods, resourceClaims } from "#shared/api/resources.ts";
import { claimProtectionFinalizer } from "#shared/api/scheduling/pod-resource-claims.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceClaim, ResourceClaimConsumerReference } from "#shared/api/types/resource-v1.generated.ts";
import { type ControllerContext, TerminalError } from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";

/** None of its containers runs, and none ever will. */
export const isDone = (pod: Pod): boolean =>
  isTerminal(pod) || (pod.metadata.deletionTimestamp !== undefined && !pod.spec?.nodeName);

/** What is left of a claim when these consumers remain (pure): with the last one its devices are given back. */
export function released(claim: ResourceClaim, remaining: readonly ResourceClaimConsumerReference[]): ResourceClaim {
  const { allocation, reservedFor: _, ...rest } = claim.status ?? {};
  const giveBack = remaining.length === 0 && claim.metadata.finalizers?.includes(claimProtectionFinalizer);
  return {
    ...claim,
    status: {
      ...rest,
      ...(allocation && !giveBack ? { allocation } : {}),
      ...(remaining.length > 0 ? { reservedFor: [...remaining] } : {}),
    },
  };
}

const owningPod = ({ metadata }: ResourceClaim) =>
  metadata.ownerReferences?.find(
    ({ controller, apiVersion, kind }) => controller && apiVersion === "v1" && kind === "Pod",
  );

/** Takes pods out of a claim that use it no more, gives its devices back after the last, and removes a claim that was made
 *  for a pod which is done. */
export async function keepClaim(key: string, context: ControllerContext): Promise<void> {
  const { lister, client } = context;
  const claim = lister(resourceClaims).get(key);
  if (!claim) return;
  const reserved = claim.status?.reservedFor ?? [];
  const remaining: ResourceClaimConsumerReference[] = [];
  for (const consumer of reserved) if (await stillUses(claim, consumer, context)) remaining.push(consumer);
  const isProtected = claim.metadata.finalizers?.includes(claimProtectionFinalizer) ?? false;
  const unused = remaining.length === 0;
  if (remaining.length < reserved.length) {
    const written = await client.update(resourceClaims, released(claim, remaining), { subresource: "status" });
    if (isProtected && !written.status?.allocation) await unprotect(written, context);
  } else if (isProtected && claim.metadata.deletionTimestamp && unused) {
    const written = claim.status?.allocation
      ? await client.update(resourceClaims, released(claim, []), { subresource: "status" })
      : claim;
    await unprotect(written, context);
  }
  if (unused) await removeIfItsPodIsDone(claim, context);
}

/** Whether the pod still exists and may run. One that the cache does not show may only be too new for it. */
async function stillUses(
  claim: ResourceClaim,
  { apiGroup = "", resource, name, uid }: ResourceClaimConsumerReference,
  { lister, client }: ControllerContext,
): Promise<boolean> {
  if (apiGroup !== "" || resource !== "pods")
    throw new TerminalError(`claim ${claim.metadata.name} is reserved for ${resource}, which is not known here`);
  const { namespace = "" } = claim.metadata;
  const cached = lister(pods).get(`${namespace}/${name}`);
  if (cached) return cached.metadata.uid === uid && !isDone(cached);
  const present = await unlessGone(client.get(pods, { namespace, name }));
  return present?.metadata.uid === uid;
}

async function unprotect(claim: ResourceClaim, { client }: ControllerContext): Promise<void> {
  const finalizers = (claim.metadata.finalizers ?? []).filter((one) => one !== claimProtectionFinalizer);
  await client.update(resourceClaims, { ...claim, metadata: { ...claim.metadata, finalizers } });
}

/** A pod that ended may stay for long; its devices' claim need not. The garbage collector sees to pods that are gone. */
async function removeIfItsPodIsDone(claim: ResourceClaim, { lister, client }: ControllerContext): Promise<void> {
  const { namespace = "", name = "", uid, deletionTimestamp } = claim.metadata;
  const owner = owningPod(claim);
  const pod = owner ? lister(pods).get(`${namespace}/${owner.name}`) : undefined;
  if (!owner || !pod || deletionTimestamp || (pod.metadata.uid === owner.uid && !isDone(pod))) return;
  await unlessGone(client.delete(resourceClaims, { namespace, name }, { preconditions: { uid } }));
}
