import { keyOf } from "#shared/api/object.ts";
import { deviceClasses, resourceClaims, resourceSlices } from "#shared/api/resources.ts";
import { matchesNodeSelector } from "#shared/api/scheduling/node-affinity.ts";
import {
  claimOfPod,
  claimProtectionFinalizer,
  isOwnedByPod,
  isReservedForPod,
  mostConsumers,
  resourceClaimKeysOf,
} from "#shared/api/scheduling/pod-resource-claims.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { AllocationResult, ResourceClaim } from "#shared/api/types/resource-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type Allocation, AllocationError, allocate } from "../dynamic-resources/allocator.ts";
import { deviceKey, poolsFor, poolsOf } from "../dynamic-resources/pools.ts";
import {
  type ClusterView,
  normalizeByGreatest,
  PluginError,
  type PostFilterResult,
  type Rejection,
  rejection,
  type SchedulerPlugin,
} from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";

interface Promised {
  readonly claimKey: string;
  readonly allocation: AllocationResult;
}

/** What pods have been promised and the cache does not show yet, by the claim's UID. */
type Promises = Map<string, Promised>;

/** Pods get the devices that their ResourceClaims ask for (DRA with structured parameters, KEP-4381 and KEP-4816). */
export function dynamicResources(): SchedulerPlugin {
  const promised: Promises = new Map();
  /** UIDs of claims whose devices are kept for a pod on its way to a node and not written yet, by the pod's UID. */
  const unwritten = new Map<string, Set<string>>();
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
    begin(info, cluster) {
      const found = claimsFor(info.pod, cluster);
      const nothing = { postFilter: () => ({ reason: "no new claims to deallocate" }) };
      if ("all" in found && found.all.length === 0) return nothing;
      const claims = "reject" in found ? found : byState(found.all, info.pod, cluster);
      if ("reject" in claims) return { ...nothing, reject: rejection(claims.reject, "final") };
      forgetShown(promised, cluster);
      const present = claims.allocated;
      const open = claims.open.filter(({ metadata }) => !promised.has(metadata.uid ?? ""));
      if (open.length < claims.open.length) {
        const waiting = claims.open.find((claim) => !open.includes(claim));
        const name = `${waiting?.metadata.namespace}/${waiting?.metadata.name}`;
        return {
          ...nothing,
          reject: rejection(`resource claim ${name} is in the process of being allocated`, "final"),
        };
      }
      const plan = planner(open, cluster, promised);
      const elsewhere = new Set<ResourceClaim>();
      return {
        filter({ node }) {
          if (!node) return undefined;
          const outcome = open.length === 0 ? [] : plan(node);
          if (!Array.isArray(outcome)) return outcome;
          const missing = present.filter(({ status }) => !reaches(status?.allocation, node));
          for (const claim of missing) elsewhere.add(claim);
          return missing.length > 0 ? rejection("resourceclaim not available on the node", "final") : undefined;
        },
        postFilter: () => giveBack(info.pod, present.length + open.length, elsewhere),
        ...(open.some(({ spec }) => spec.devices?.requests?.some(({ firstAvailable }) => firstAvailable))
          ? { scores: (feasible: readonly NodeInfo[]) => alternativeScores(feasible, plan) }
          : {}),
      };
    },
    reserve(info, nodeName, cluster) {
      const claims = claimsFor(info.pod, cluster);
      const node = cluster.node(nodeName)?.node;
      if ("reject" in claims || !node) return;
      const open = claims.all.filter(({ status }) => !status?.allocation);
      if (open.length === 0) return;
      const outcome = planner(open, cluster, promised)(node);
      if (!Array.isArray(outcome)) return;
      for (const [index, claim] of open.entries())
        promised.set(claim.metadata.uid ?? "", { claimKey: keyOf(claim), allocation: outcome[index]?.result ?? {} });
      unwritten.set(info.uid, new Set(open.map(({ metadata }) => metadata.uid ?? "")));
    },
    release(info) {
      // What was written stays promised until the cache shows it.
      for (const uid of unwritten.get(info.uid) ?? []) promised.delete(uid);
      unwritten.delete(info.uid);
    },
    async preBind(info, _nodeName, client, cluster) {
      const claims = claimsFor(info.pod, cluster);
      if ("reject" in claims) throw new Error(claims.reject);
      for (const claim of claims.all) {
        const uid = claim.metadata.uid ?? "";
        const allocation = claim.status?.allocation ?? promised.get(uid)?.allocation;
        if (!allocation) throw new Error(`no devices are kept for claim ${claim.metadata.name}`);
        await reserveClaim(client, claim, allocation, info.pod);
        unwritten.get(info.uid)?.delete(uid);
      }
      return "done";
    },
  };
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

function forgetShown(promised: Promises, cluster: ClusterView): void {
  for (const [uid, { claimKey }] of promised) {
    const claim = cluster.lister(resourceClaims).get(claimKey);
    if (claim?.metadata.uid !== uid || claim.status?.allocation) promised.delete(uid);
  }
}

interface Refused {
  /** Why the pod has to wait. */
  readonly reject: string;
}

/** The pod's claims; none where it has none. */
function claimsFor(pod: Pod, cluster: ClusterView): { readonly all: readonly ResourceClaim[] } | Refused {
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
function byState(
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

type Plan = (node: NonNullable<NodeInfo["node"]>) => Allocation[] | Rejection;

/** Works out allocations on one node after the other; what is the same for all is looked at once. */
function planner(open: readonly ResourceClaim[], cluster: ClusterView, promised: Promises): Plan {
  if (open.length === 0) return () => [];
  const pools = poolsOf(cluster.lister(resourceSlices).list());
  const taken = takenDevices(cluster, promised);
  return (node) => {
    try {
      const found = allocate(open, poolsFor(node, pools), taken, (name) => cluster.lister(deviceClasses).get(name));
      return found ?? rejection("cannot allocate all claims", "final");
    } catch (error) {
      if (!(error instanceof AllocationError)) throw error;
      throw new PluginError(`running "DynamicResources" filter plugin: ${error.message}`, { cause: error });
    }
  };
}

/** Devices that claims have, those looked at by administrators apart. */
function takenDevices(cluster: ClusterView, promised: Promises): ReadonlySet<string> {
  const allocations = [
    ...cluster
      .lister(resourceClaims)
      .list()
      .map(({ status }) => status?.allocation),
    ...[...promised.values()].map(({ allocation }) => allocation),
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
