import { formatQuantity, quantityOf } from "#shared/api/quantity.ts";
import { amountsOf, podRequests } from "#shared/api/scheduling/pod-resources.ts";
import { tolerates, wellKnownTaints } from "#shared/api/scheduling/taints.ts";
import type { NodeCondition, Pod } from "#shared/api/types/core-v1.generated.ts";
import { isMirrorPod, isStaticPod } from "../pod-containers.ts";
import { podQosClass } from "../pod-qos.ts";
import type { Refusal } from "./pod-admission.ts";

export interface PodUsage {
  readonly pod: Pod;
  /** Working set, or bytes on disk, by container. */
  readonly containers: readonly { readonly name: string; readonly used_bytes: number }[];
}

/** Of system-cluster-critical: pods of it and above are ended last. */
export const systemCriticalPriority = 2_000_000_000;

/** The node and the cluster cannot do without it: it is neither evicted nor refused. */
export function isCritical(pod: Pod): boolean {
  return isStaticPod(pod) || isMirrorPod(pod) || (pod.spec.priority ?? 0) >= systemCriticalPriority;
}

/**
 * The pod to evict when a resource runs out: one that uses more than it asked for before one that does not, then the
 * lower priority, then the larger excess. Undefined when none may be. As upstream's eviction manager ranks them.
 */
export function chooseVictim(
  resource: "memory" | "ephemeral-storage",
  usages: readonly PodUsage[],
): { readonly pod: Pod; readonly message: string } | undefined {
  const ranked = usages
    .filter(({ pod }) => !isCritical(pod))
    .map((usage) => {
      const used = usage.containers.reduce((sum, { used_bytes }) => sum + used_bytes, 0);
      return { ...usage, excess: used - (podRequests(usage.pod).get(resource) ?? 0) };
    })
    .sort(
      (a, b) =>
        Number(b.excess > 0) - Number(a.excess > 0) ||
        (a.pod.spec.priority ?? 0) - (b.pod.spec.priority ?? 0) ||
        b.excess - a.excess,
    );
  const [first] = ranked;
  return first && { pod: first.pod, message: evictionMessage(resource, first) };
}

function evictionMessage(resource: string, { pod, containers }: PodUsage): string {
  const details = containers.flatMap(({ name, used_bytes }) => {
    const container = pod.spec.containers.find((each) => each.name === name);
    const request = amountsOf(container?.resources?.requests).get(resource) ?? 0;
    if (!container || used_bytes <= request) return [];
    const bytes = (value: number): string => formatQuantity(quantityOf(Math.ceil(value / 1024) * 1024, "BinarySI"));
    const asked = request === 0 ? "0" : bytes(request);
    return `Container ${name} was using ${bytes(used_bytes)}, request is ${asked}, has larger consumption of ${resource}. `;
  });
  return `The node was low on resource: ${resource}. ${details.join("")}`;
}

/** A node under pressure takes no more pods, but for critical ones and, when only memory is short, those that ask for some. */
export function refuseUnderPressure(pod: Pod, conditions: readonly NodeCondition[]): Refusal | undefined {
  const pressures = conditions
    .filter(({ type, status }) => type.endsWith("Pressure") && status === "True")
    .map(({ type }) => type);
  if (pressures.length === 0 || isCritical(pod)) return undefined;
  if (pressures.length === 1 && pressures[0] === "MemoryPressure") {
    if (podQosClass(pod) !== "BestEffort") return undefined;
    const taint = { key: wellKnownTaints.memoryPressure, effect: "NoSchedule" };
    if (pod.spec.tolerations?.some((toleration) => tolerates(toleration, taint))) return undefined;
  }
  return { reason: "Evicted", message: `The node had condition: [${pressures.join(" ")}]. ` };
}
