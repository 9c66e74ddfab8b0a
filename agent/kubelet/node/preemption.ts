import { podRequests, type ResourceAmounts } from "#shared/api/scheduling/pod-resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { podQosClass, type QosClass } from "../pod-qos.ts";
import { isCritical } from "./eviction.ts";
import type { Obstacle } from "./pod-admission.ts";

/** What a critical pod lacks, by resource; `pods` counts pods. */
export type Shortage = ReadonlyMap<string, number>;

/** How much of each resource must become free. */
export function shortageOf(lacking: readonly Extract<Obstacle, { kind: "resource" }>[]): Shortage {
  return new Map(lacking.map(({ resource, wanted, used, capacity }) => [resource, wanted - (capacity - used)]));
}

/** What is still short once these pods are gone. */
export function shortageWithout(shortage: Shortage, pods: readonly Pod[]): Shortage {
  const left = new Map(shortage);
  for (const pod of pods) {
    const freed = freedBy(pod);
    for (const [resource, amount] of left) {
      const rest = amount - (freed.get(resource) ?? 0);
      if (rest > 0) left.set(resource, rest);
      else left.delete(resource);
    }
  }
  return left;
}

/** May the one drive the other off the node? */
export function mayPreempt(pod: Pod, other: Pod): boolean {
  if (isCritical(pod) && !isCritical(other)) return true;
  const { priority } = pod.spec;
  const { priority: ofOther } = other.spec;
  return priority !== undefined && ofOther !== undefined && priority > ofOther;
}

/**
 * The pods to end so that a critical one has room; undefined when all of them together would not do. As upstream's
 * getPodsToPreempt: guaranteed pods are spared before burstable ones, those before best-effort ones; of each class
 * as few go as will do, and of equals the smaller.
 */
export function podsToPreempt(pod: Pod, others: readonly Pod[], shortage: Shortage): Pod[] | undefined {
  const candidates = others.filter((other) => mayPreempt(pod, other));
  if (shortageWithout(shortage, candidates).size > 0) return undefined;
  const of = (qosClass: QosClass): Pod[] => candidates.filter((other) => podQosClass(other) === qosClass);
  const [bestEffort, burstable] = [of("BestEffort"), of("Burstable")];
  const guaranteed = fewest(of("Guaranteed"), shortageWithout(shortage, [...bestEffort, ...burstable]));
  const lesser = fewest(burstable, shortageWithout(shortage, [...bestEffort, ...guaranteed]));
  const least = fewest(bestEffort, shortageWithout(shortage, [...lesser, ...guaranteed]));
  return [...least, ...lesser, ...guaranteed];
}

/** Takes whichever pod leaves the least of the shortage, until nothing is short; together they suffice. */
function fewest(pods: readonly Pod[], shortage: Shortage): Pod[] {
  const left = pods.map((pod) => ({ pod, freed: freedBy(pod) }));
  const taken: Pod[] = [];
  let short = shortage;
  while (short.size > 0) {
    const [best] = left.sort(
      (a, b) => distance(short, a.freed) - distance(short, b.freed) || bySize(a.freed, b.freed, ["memory", "cpu"]),
    );
    if (!best) throw new Error("the pods do not free what is short");
    left.shift();
    taken.push(best.pod);
    short = shortageWithout(short, [best.pod]);
  }
  return taken;
}

/** Of each resource the part that stays short, squared, so that all count alike whatever their unit. */
function distance(shortage: Shortage, freed: ResourceAmounts): number {
  let sum = 0;
  for (const [resource, amount] of shortage) {
    sum += Math.max(0, (amount - (freed.get(resource) ?? 0)) / amount) ** 2;
  }
  return sum;
}

function bySize(a: ResourceAmounts, b: ResourceAmounts, resources: readonly string[]): number {
  for (const resource of resources) {
    const difference = (a.get(resource) ?? 0) - (b.get(resource) ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const freedBy = (pod: Pod): ResourceAmounts => podRequests(pod).set("pods", 1);
