import type { BoardFacts } from "#agent/telemetry/board.ts";
import { wholeValue } from "#shared/api/quantity.ts";
import { podLimits, podRequests } from "#shared/api/scheduling/pod-resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { type CpuQuota, cpuPeriod_us, cpuQuotaOf, cpuSharesOf } from "../container/container-resources.ts";
import type { Reserved } from "../node/node-status.ts";
import { limitsOf, milliOf, podQosClass } from "../pod-qos.ts";

/** What a control group of pods is given; what is absent stays as it is. */
export interface CgroupLimits {
  readonly cpuShares?: number | undefined;
  /** 0: none. */
  readonly cpuQuota_us?: number | undefined;
  readonly cpuPeriod_us?: number | undefined;
  /** 0: none. */
  readonly memoryLimit_bytes?: number | undefined;
  readonly pidsLimit?: number | undefined;
  /** Bytes by size of page in bytes; none of a size that is not named. `unbounded` leaves each size to those below. */
  readonly hugepages?: ReadonlyMap<number, number> | "unbounded" | undefined;
}

/** Of a pod as granted, as upstream's ResourceConfigForPod: sums of its containers, or what the pod states for itself. */
export function podCgroupLimits(pod: Pod, quota: CpuQuota = usualQuota): CgroupLimits {
  const requests = podRequests(pod);
  const hugepages = hugepageAmounts(requests);
  const qos = podQosClass(pod);
  if (qos === "BestEffort") return { cpuShares: cpuSharesOf(0), hugepages };
  const limits = podLimits(pod);
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  // A container without a limit may take what there is, and so may its pod.
  const isLimited = (name: string): boolean =>
    qos === "Guaranteed" ||
    milliOf(pod.spec.resources?.limits, name) > 0 ||
    containers.every((container) => milliOf(limitsOf(container), name) > 0);
  return {
    cpuShares: cpuSharesOf(requests.get("cpu") ?? 0),
    ...(isLimited("cpu") ? cpuLimits(limits.get("cpu") ?? 0, quota) : {}),
    ...(isLimited("memory") ? { memoryLimit_bytes: limits.get("memory") ?? 0 } : {}),
    hugepages,
  };
}

const usualQuota: CpuQuota = { isEnforced: true, period_us: cpuPeriod_us };

const cpuLimits = (limit_m: number, { isEnforced, period_us }: CpuQuota): CgroupLimits =>
  isEnforced ? { cpuQuota_us: cpuQuotaOf(limit_m, period_us), cpuPeriod_us: period_us } : { cpuQuota_us: 0 };

/** Of all burstable pods together: what they request. */
export function burstableShares(pods: readonly Pod[]): number {
  const requests_m = pods
    .filter((pod) => podQosClass(pod) === "Burstable")
    .reduce((sum, pod) => sum + (podRequests(pod).get("cpu") ?? 0), 0);
  return cpuSharesOf(requests_m);
}

/** Of all pods of a board: what it has, without what is reserved. Eviction keeps its distance below that. */
export function nodeCgroupLimits(board: BoardFacts, reserved: Reserved, most_pids: number | undefined): CgroupLimits {
  return {
    cpuShares: cpuSharesOf(Math.max(0, board.cpus * 1000 - reserved.cpu_m)),
    memoryLimit_bytes: Math.max(0, board.memory_bytes - reserved.memory_bytes),
    pidsLimit: most_pids,
    hugepages: new Map(board.hugepages.map(({ size_bytes, count }) => [size_bytes, size_bytes * count])),
  };
}

function hugepageAmounts(amounts: ReadonlyMap<string, number>): Map<number, number> {
  const found = new Map<number, number>();
  for (const [name, amount] of amounts) {
    if (name.startsWith("hugepages-")) found.set(wholeValue(name.slice("hugepages-".length)), amount);
  }
  return found;
}
