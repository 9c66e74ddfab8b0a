import { keyOf } from "#shared/api/object.ts";
import { deviceClasses, resourceClaims, resourceSlices } from "#shared/api/resources.ts";
import { matchesNodeSelector } from "#shared/api/scheduling/node-affinity.ts";
import {
  claimProtectionFinalizer,
  isReservedForPod,
  resourceClaimKeysOf,
} from "#shared/api/scheduling/pod-resource-claims.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { AllocationResult, ResourceClaim } from "#shared/api/types/resource-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { type Allocation, AllocationError, allocate, FailedOnNode } from "../dynamic-resources/allocator.ts";
import { byState, claimsFor } from "../dynamic-resources/claims-of-pod.ts";
import { DevicePromises } from "../dynamic-resources/device-promises.ts";
import { deviceKey, poolsFor, poolsOf } from "../dynamic-resources/pools.ts";
import {
  type ClusterView,
  normalizeByGreatest,
  type PluginCycle,
  PluginError,
  type PostFilterResult,
  type Rejection,
  rejection,
  type SchedulerPlugin,
} from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";

/** Pods get the devices that their ResourceClaims ask for (DRA with structured parameters, KEP-4381 and KEP-4816). */
export function dynamicResources(): SchedulerPlugin {
  const promises = new DevicePromises();
  return {
    name: "DynamicResources",
    wokenBy: new Set(["nodeAdded", "nodeLabels", "nodeAllocatable", "devices"]),
    hasPostFilter: true,
    mayHelp: ({ pod }, { resourceClaim }) =>
      !resourceClaim ||
      // One that gave its devices back may help any pod.
      resourceClaim.status?.allocation === undefined ||
      resourceClaimKeysOf(pod).includes(`${resourceClaim.metadata.namespace}/${resourceClaim.metadata.name}`),
    keepsOut: ({ pod }, cluster) => "reject" in claimsFor(pod, cluster),
    hasPreBind({ pod }, cluster) {
      const claims = claimsFor(pod, cluster);
      return "all" in claims && claims.all.length > 0;
    },
    begin: ({ pod }, cluster) => beginCycle(pod, cluster, promises),
    reserve: (info, nodeName, cluster) => reserve(info, cluster.node(nodeName)?.node, cluster, promises),
    release: ({ uid }) => promises.release(uid),
    async preBind({ uid, pod }, _nodeName, client, cluster) {
      const claims = claimsFor(pod, cluster);
      if ("reject" in claims) throw new Error(claims.reject);
      for (const claim of claims.all) {
        const allocation = claim.status?.allocation ?? promises.of(claim);
        if (!allocation) throw new Error(`no devices are kept for claim ${claim.metadata.name}`);
        await reserveClaim(client, claim, allocation, pod);
        promises.written(uid, claim);
      }
      return "done";
    },
    // The devices stay allocated: the next try finds the claim as it is.
    async unreserve({ uid, pod }, client, cluster) {
      const claims = claimsFor(pod, cluster);
      const shown = "all" in claims ? claims.all.filter((claim) => isReservedForPod(claim, pod)) : [];
      const reserved = new Map([...shown, ...promises.reservedFor(uid)].map((claim) => [claim.metadata.uid, claim]));
      for (const claim of reserved.values()) await freeClaim(client, claim, pod);
    },
  };
}

const nothingToDo = { postFilter: () => ({ reason: "no new claims to deallocate" }) };

function beginCycle(pod: Pod, cluster: ClusterView, promises: DevicePromises): PluginCycle {
  const found = claimsFor(pod, cluster);
  if ("all" in found && found.all.length === 0) return nothingToDo;
  const claims = "reject" in found ? found : byState(found.all, pod, cluster);
  if ("reject" in claims) return { ...nothingToDo, reject: rejection(claims.reject, "final") };
  promises.forgetShown(cluster);
  const { allocated, open } = claims;
  const waiting = open.find((claim) => promises.of(claim) !== undefined);
  if (waiting) {
    const why = `resource claim ${keyOf(waiting)} is in the process of being allocated`;
    return { ...nothingToDo, reject: rejection(why, "final") };
  }
  const plan = planner(open, cluster, promises);
  const elsewhere = new Set<ResourceClaim>();
  return {
    filter({ node }) {
      if (!node) return undefined;
      const outcome = open.length === 0 ? [] : plan(node);
      if (!Array.isArray(outcome)) return outcome;
      const missing = allocated.filter(({ status }) => !reaches(status?.allocation, node));
      for (const claim of missing) elsewhere.add(claim);
      return missing.length > 0 ? rejection("resourceclaim not available on the node", "final") : undefined;
    },
    postFilter: () => giveBack(pod, allocated.length + open.length, elsewhere),
    ...(open.some(hasAlternatives)
      ? { scores: (feasible: readonly NodeInfo[]) => alternativeScores(feasible, plan) }
      : {}),
  };
}

const hasAlternatives = ({ spec }: ResourceClaim): boolean =>
  spec.devices?.requests?.some(({ firstAvailable }) => firstAvailable) ?? false;

function reserve({ uid, pod }: PodInfo, node: Node | undefined, cluster: ClusterView, promises: DevicePromises): void {
  const claims = claimsFor(pod, cluster);
  if ("reject" in claims || !node) return;
  const open = claims.all.filter(({ status }) => !status?.allocation);
  if (open.length === 0) return;
  const outcome = planner(open, cluster, promises)(node);
  if (!Array.isArray(outcome)) return;
  promises.keep(
    uid,
    open.map((claim, index) => ({ claim, allocation: outcome[index]?.result ?? {} })),
  );
}

const reaches = (allocation: AllocationResult | undefined, node: Node): boolean =>
  !allocation?.nodeSelector || matchesNodeSelector(allocation.nodeSelector, node);

/** Devices that a claim of the pod has where the pod cannot go, and that nobody else uses, are given back: others that it
 *  gets then may be where there is room. One claim at a time. */
function giveBack(pod: Pod, count: number, elsewhere: ReadonlySet<ResourceClaim>): PostFilterResult {
  if (count === 0) return { reason: "no new claims to deallocate" };
  const unused = [...elsewhere].find(({ status: { reservedFor = [] } = {} }) =>
    reservedFor.every(({ uid }) => reservedFor.length === 1 && uid === pod.metadata.uid),
  );
  if (!unused) return { reason: "still not schedulable" };
  const { allocation: _, devices: __, reservedFor: ___, ...status } = unused.status ?? {};
  return {
    reason: "deallocation of ResourceClaim completed",
    async help(client) {
      await client.update(resourceClaims, { ...unused, status }, { subresource: "status" });
    },
  };
}

type Plan = (node: NonNullable<NodeInfo["node"]>) => Allocation[] | Rejection;

/** Works out allocations on one node after the other; what is the same for all is looked at once. */
function planner(open: readonly ResourceClaim[], cluster: ClusterView, promises: DevicePromises): Plan {
  if (open.length === 0) return () => [];
  const pools = poolsOf(cluster.lister(resourceSlices).list());
  const taken = takenDevices(cluster, promises);
  return (node) => {
    try {
      const found = allocate(open, poolsFor(node, pools), taken, (name) => cluster.lister(deviceClasses).get(name));
      return found ?? rejection("cannot allocate all claims", "final");
    } catch (error) {
      if (error instanceof FailedOnNode) return rejection(error.message, "final");
      if (!(error instanceof AllocationError)) throw error;
      throw new PluginError(`running "DynamicResources" filter plugin: ${error.message}`, { cause: error });
    }
  };
}

/** Devices that claims have, those looked at by administrators apart. */
function takenDevices(cluster: ClusterView, promises: DevicePromises): ReadonlySet<string> {
  const allocations = [
    ...cluster
      .lister(resourceClaims)
      .list()
      .map(({ status }) => status?.allocation),
    ...promises.allocations(),
  ];
  const results = allocations.flatMap((allocation) => allocation?.devices?.results ?? []);
  return new Set(results.filter(({ adminAccess }) => !adminAccess).map(deviceKey));
}

/** Nodes where claims get what they asked for first are better (KEP-4816). */
function alternativeScores(feasible: readonly NodeInfo[], plan: Plan): number[] {
  const scores = feasible.map(({ node }) => {
    const outcome = node ? plan(node) : [];
    return Array.isArray(outcome) ? outcome.reduce((sum, { score }) => sum + score, 0) : 0;
  });
  return normalizeByGreatest(scores, "more is better");
}

/** Writes the devices into the claim and the pod as who uses them; protected first, so that none is given away under it. */
async function reserveClaim(
  client: Client,
  claim: ResourceClaim,
  allocation: AllocationResult,
  pod: Pod,
): Promise<void> {
  if (isReservedForPod(claim, pod)) return;
  const { finalizers = [] } = claim.metadata;
  const held = finalizers.includes(claimProtectionFinalizer)
    ? claim
    : await client.update(resourceClaims, {
        ...claim,
        metadata: { ...claim.metadata, finalizers: [...finalizers, claimProtectionFinalizer] },
      });
  const { name = "", uid = "" } = pod.metadata;
  const reservedFor = [...(held.status?.reservedFor ?? []), { resource: "pods", name, uid }];
  const status = { ...held.status, allocation: held.status?.allocation ?? allocation, reservedFor };
  await client.update(resourceClaims, { ...held, status }, { subresource: "status" });
}

/** Takes the pod out of those that use the claim, whoever else has changed it meanwhile. */
async function freeClaim(client: Client, { metadata }: ResourceClaim, { metadata: { uid } }: Pod): Promise<void> {
  const { namespace, name = "" } = metadata;
  const body = { metadata: { uid: metadata.uid }, status: { reservedFor: [{ $patch: "delete", uid }] } };
  const patch = { type: "strategic", body } as const;
  await unlessGone(client.patch(resourceClaims, { namespace, name }, patch, { subresource: "status" }));
}
