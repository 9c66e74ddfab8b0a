import { formatQuantity, quantityOf } from "#shared/api/quantity.ts";
import { amountsOf, podRequests } from "#shared/api/scheduling/pod-resources.ts";
import { tolerates, wellKnownTaints } from "#shared/api/scheduling/taints.ts";
import type { NodeCondition, Pod } from "#shared/api/types/core-v1.generated.ts";
import { isMirrorPod, isStaticPod } from "../pod-containers.ts";
import { podQosClass } from "../pod-qos.ts";
import type { Shortage } from "./eviction-gauge.ts";
import { factsOfSignal } from "./eviction-rules.ts";
import type { Refusal } from "./pod-admission.ts";

export interface PodUsage {
  readonly pod: Pod;
  /** Working set, bytes on disk, or processes, by container. */
  readonly containers: readonly { readonly name: string; readonly used: number }[];
}

/** Of system-cluster-critical: pods of it and above are ended last. */
export const systemCriticalPriority = 2_000_000_000;

/** The node and the cluster cannot do without it: it is neither evicted nor refused. */
export function isCritical(pod: Pod): boolean {
  return isStaticPod(pod) || isMirrorPod(pod) || (pod.spec.priority ?? 0) >= systemCriticalPriority;
}

/**
 * The pod to evict when a resource runs out: one that uses more than it asked for before one that does not, then the
 * lower priority, then the larger excess. Of process ids nobody asks for any, so priority comes first. Undefined when none may be.
 * As upstream's eviction manager ranks them.
 */
export function chooseVictim(
  shortage: Shortage,
  usages: readonly PodUsage[],
): { readonly pod: Pod; readonly message: string } | undefined {
  const { resource } = factsOfSignal(shortage.threshold.signal);
  const ranked = usages
    .filter(({ pod }) => !isCritical(pod))
    .map((usage) => {
      const used = usage.containers.reduce((sum, container) => sum + container.used, 0);
      return { ...usage, excess: used - (podRequests(usage.pod).get(resource) ?? 0) };
    })
    .sort(
      (a, b) =>
        (resource === "pids" ? 0 : Number(b.excess > 0) - Number(a.excess > 0)) ||
        (a.pod.spec.priority ?? 0) - (b.pod.spec.priority ?? 0) ||
        b.excess - a.excess,
    );
  const [first] = ranked;
  return first && { pod: first.pod, message: evictionMessage(shortage, first) };
}

const binary = (value: number): string => formatQuantity(quantityOf(Math.ceil(value), "BinarySI"));

function evictionMessage({ threshold, least, available }: Shortage, { pod, containers }: PodUsage): string {
  const { resource } = factsOfSignal(threshold.signal);
  const amounts = resource === "memory" || resource === "ephemeral-storage" ? binary : String;
  const low = `The node was low on resource: ${resource}. Threshold quantity: ${amounts(least)}, available: ${amounts(available)}. `;
  if (resource !== "memory" && resource !== "ephemeral-storage") return low;
  const details = containers.flatMap(({ name, used }) => {
    const container = pod.spec.containers.find((each) => each.name === name);
    const request = amountsOf(container?.resources?.requests).get(resource) ?? 0;
    if (!container || used <= request) return [];
    const bytes = (value: number): string => binary(Math.ceil(value / 1024) * 1024);
    const asked = request === 0 ? "0" : bytes(request);
    return `Container ${name} was using ${bytes(used)}, request is ${asked}, has larger consumption of ${resource}. `;
  });
  return low + details.join("");
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
