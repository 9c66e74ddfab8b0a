import { bestScore, type Rejection, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";

const scored = ["cpu", "memory"] as const;

/** The node has room for what the pod requests; among those that have, emptier ones are better (LeastAllocated). */
export const nodeResourcesFit: SchedulerPlugin = {
  name: "NodeResourcesFit",
  weight: 1,
  wokenBy: new Set(["nodeAdded", "nodeAllocatable", "podDeleted", "podResized"]),
  begin: (pod) => ({
    filter: (node) => insufficient(pod, node),
    scores: (feasible) => feasible.map((node) => leastAllocatedScore(pod, node)),
  }),
};

/** Nodes where cpu and memory would be used in like measure are better. */
export const nodeResourcesBalancedAllocation: SchedulerPlugin = {
  name: "NodeResourcesBalancedAllocation",
  weight: 1,
  wokenBy: new Set(),
  begin(pod) {
    if (scored.every((resource) => (pod.requests.get(resource) ?? 0) === 0)) return undefined;
    return { scores: (feasible) => feasible.map((node) => balanceScore(pod, node)) };
  },
};

/** Undefined when the pod fits. More than the node has in all cannot be had by preemption. */
export function insufficient(pod: PodInfo, node: NodeInfo): Rejection | undefined {
  const reasons: string[] = [];
  let preemptible = true;
  if (node.pods.size + 1 > (node.allocatable.get("pods") ?? 0)) reasons.push("Too many pods");
  for (const [resource, wanted] of pod.requests) {
    if (wanted === 0 || resource === "pods") continue;
    const allocatable = node.allocatable.get(resource) ?? 0;
    if (wanted <= allocatable - (node.requested.get(resource) ?? 0)) continue;
    reasons.push(`Insufficient ${resource}`);
    if (wanted > allocatable) preemptible = false;
  }
  return reasons.length > 0 ? { reasons, preemptible } : undefined;
}

/** Mean over cpu and memory of the free part, 0–100, with assumptions for containers that request nothing. */
export function leastAllocatedScore(pod: PodInfo, node: NodeInfo): number {
  let sum = 0;
  let weights = 0;
  for (const resource of scored) {
    const allocatable = node.allocatable.get(resource) ?? 0;
    if (allocatable === 0) continue;
    const requested = (node.assumedRequested.get(resource) ?? 0) + (pod.assumedRequests.get(resource) ?? 0);
    sum += requested > allocatable ? 0 : Math.floor(((allocatable - requested) * bestScore) / allocatable);
    weights++;
  }
  return weights === 0 ? 0 : Math.floor(sum / weights);
}

/** 100 less the standard deviation of the used fractions. */
export function balanceScore(pod: PodInfo, node: NodeInfo): number {
  const fractions: number[] = [];
  for (const resource of scored) {
    const allocatable = node.allocatable.get(resource) ?? 0;
    if (allocatable === 0) continue;
    const requested = (node.requested.get(resource) ?? 0) + (pod.requests.get(resource) ?? 0);
    fractions.push(Math.min(1, requested / allocatable));
  }
  const [first = 0, second] = fractions;
  const deviation = second === undefined ? 0 : Math.abs(first - second) / 2;
  return Math.floor((1 - deviation) * bestScore);
}
