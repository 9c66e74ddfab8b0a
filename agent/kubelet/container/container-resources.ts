import type { ContainerResources } from "#agent/runtime/runtime.ts";
import { podRequests } from "#shared/api/scheduling/pod-resources.ts";
import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";
import { isCritical, systemCriticalPriority } from "../node/eviction.ts";
import { isRestartableInit } from "../pod-containers.ts";
import { limitsOf, milliOf, podQosClass, requestsOf, wholeOf } from "../pod-qos.ts";

const minShares = 2;
const maxShares = 262_144;
/** The kernel counts a quota of CPU time anew after each of these. */
export const cpuPeriod_us = 100_000;
const minQuota_us = 1_000;
const guaranteedOomScore = -997;
const bestEffortOomScore = 1000;

/** How CPU limits are held. */
export interface CpuQuota {
  readonly isEnforced: boolean;
  readonly period_us: number;
}

/** What happens when a container has no memory left: it may swap, and the kernel ends one process or all. */
export interface MemoryEnd {
  /** Version 2 of control groups: only that one can be told. */
  readonly isUnified: boolean;
  readonly swap: "NoSwap" | "LimitedSwap";
  readonly endsWhole: boolean;
}

/** What the board is, and how it was told to hold containers to their limits. */
export interface ResourceRules {
  readonly memoryCapacity_bytes: number;
  readonly swapCapacity_bytes: number;
  readonly cpuQuota: CpuQuota;
  readonly memoryEnd: MemoryEnd;
}

/** Cgroup settings of a container, computed as upstream's. A limit of the pod caps containers that have none. */
export function containerResources(pod: Pod, container: Container, rules: ResourceRules): ContainerResources {
  const limits = limitsOf(container);
  const requests = requestsOf(container);
  const podLimits = pod.spec.resources?.limits;
  const cpuLimit_m = milliOf(limits, "cpu") || milliOf(podLimits, "cpu");
  const memoryLimit_bytes = wholeOf(limits, "memory") || wholeOf(podLimits, "memory");
  const cpuRequest_m = requests["cpu"] === undefined ? cpuLimit_m : milliOf(requests, "cpu");
  const hugepages = Object.keys(limits).filter((name) => name.startsWith("hugepages-"));
  return {
    cpuShares: cpuSharesOf(cpuRequest_m),
    ...cpuLimits(cpuLimit_m, rules.cpuQuota),
    ...(memoryLimit_bytes > 0 ? { memoryLimit_bytes } : {}),
    oomScoreAdj: oomScoreAdjust(pod, container, rules.memoryCapacity_bytes),
    ...unifiedSettings(pod, container, rules),
    ...(hugepages.length > 0
      ? { hugepageLimits: Object.fromEntries(hugepages.map((name) => [name.slice(10), wholeOf(limits, name)])) }
      : {}),
  };
}

function cpuLimits(limit_m: number, { isEnforced, period_us }: CpuQuota): ContainerResources {
  if (limit_m === 0 || !isEnforced) return {};
  return { cpuQuota_us: cpuQuotaOf(limit_m, period_us), cpuPeriod_us: period_us };
}

/** What has no field of its own. Where the board has no swap, nothing needs to be said of it. */
function unifiedSettings(pod: Pod, container: Container, rules: ResourceRules): ContainerResources {
  const { isUnified, endsWhole } = rules.memoryEnd;
  if (!isUnified) return {};
  const unified = {
    ...(endsWhole ? { "memory.oom.group": "1" } : {}),
    ...(rules.swapCapacity_bytes > 0 ? { "memory.swap.max": String(swapOf(pod, container, rules)) } : {}),
  };
  return Object.keys(unified).length > 0 ? { unified } : {};
}

/** Of the board's swap as much as the container requests of its memory (KEP-2400); none where its memory must be at hand. */
function swapOf(pod: Pod, container: Container, { memoryEnd, ...board }: ResourceRules): number {
  const request_bytes = wholeOf(requestsOf(container), "memory");
  const { memoryCapacity_bytes, swapCapacity_bytes } = board;
  const has = maySwap(pod, container, memoryEnd) && request_bytes <= memoryCapacity_bytes;
  return has ? Math.trunc((request_bytes / memoryCapacity_bytes) * swapCapacity_bytes) : 0;
}

/** Where containers have swap at all, is this one of them? As upstream's GetContainerSwapBehavior. */
export function maySwap(pod: Pod, container: Container, { isUnified, swap }: MemoryEnd): boolean {
  const request_bytes = wholeOf(requestsOf(container), "memory");
  return (
    isUnified &&
    swap === "LimitedSwap" &&
    !isCritical(pod) &&
    podQosClass(pod) === "Burstable" &&
    request_bytes !== 0 &&
    request_bytes !== wholeOf(limitsOf(container), "memory")
  );
}

/** CPU shares, as control groups of version 1 have them, of a request in thousandths of a core. */
export function cpuSharesOf(request_m: number): number {
  if (request_m === 0) return minShares;
  return Math.min(maxShares, Math.max(minShares, Math.floor((request_m * 1024) / 1000)));
}

/** Microseconds in each CFS period, of a limit in thousandths of a core. */
export function cpuQuotaOf(limit_m: number, period_us: number = cpuPeriod_us): number {
  return Math.max(minQuota_us, Math.floor((limit_m * period_us) / 1000));
}

/** How readily the kernel kills the container when memory runs out: -997 to 1000. */
export function oomScoreAdjust(pod: Pod, container: Container, memoryCapacity_bytes: number): number {
  if ((pod.spec.priority ?? 0) >= systemCriticalPriority) return guaranteedOomScore;
  const qos = podQosClass(pod);
  if (qos === "Guaranteed") return guaranteedOomScore;
  if (qos === "BestEffort" || memoryCapacity_bytes <= 0) return bestEffortOomScore;
  const scoreOf = (request_bytes: number): number => 1000 - Math.floor((1000 * request_bytes) / memoryCapacity_bytes);
  const share_bytes = shareOfPod_bytes(pod);
  let score = scoreOf(wholeOf(requestsOf(container), "memory") + share_bytes);
  const sidecar = pod.spec.initContainers?.some(({ name }) => name === container.name) && isRestartableInit(container);
  if (sidecar) {
    // A sidecar outlives every regular container.
    const least = Math.min(...pod.spec.containers.map((regular) => wholeOf(requestsOf(regular), "memory")));
    score = Math.min(score, scoreOf(least + share_bytes));
  }
  return Math.min(Math.max(score, 1000 + guaranteedOomScore), bestEffortOomScore - 1);
}

/** What a pod requests as a whole beyond its containers counts as each one's in equal parts (KEP-2837). */
function shareOfPod_bytes(pod: Pod): number {
  const ofPod_bytes = wholeOf(pod.spec.resources?.requests, "memory");
  if (ofPod_bytes === 0) return 0;
  const { resources: _, overhead: __, ...ofContainers } = pod.spec;
  const containers_bytes = podRequests({ ...pod, spec: ofContainers }).get("memory") ?? 0;
  const count = pod.spec.containers.length + (pod.spec.initContainers?.length ?? 0);
  return Math.trunc((ofPod_bytes - containers_bytes) / count);
}
