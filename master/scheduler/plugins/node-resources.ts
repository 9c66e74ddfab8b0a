import type { PluginArgs, ScoringStrategy, ShapePoint, WeighedResource } from "../configuration/plugin-args.ts";
import { bestScore, type Rejection, type SchedulerPlugin } from "../framework.ts";
import { allocatableOf, type NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";

type Amounts = ReadonlyMap<string, number>;

/** The node has room for what the pod requests; among those that have, the strategy says which are better. */
export function nodeResourcesFit(args: PluginArgs["NodeResourcesFit"]): SchedulerPlugin {
  const isIgnored = (resource: string): boolean =>
    args.ignoredResources.includes(resource) ||
    (resource.includes("/") && args.ignoredResourceGroups.includes(resource.slice(0, resource.indexOf("/"))));
  return {
    name: "NodeResourcesFit",
    wokenBy: new Set(["nodeAdded", "nodeAllocatable", "podDeleted", "podResized"]),
    mayHelp(pod, { node, nodeBefore, pod: resized, podBefore }) {
      const wanted = [...pod.requests].filter(([, amount]) => amount > 0).map(([resource]) => resource);
      if (resized && podBefore) return resized.uid === pod.uid || hasLess(resized.requests, podBefore.requests, wanted);
      if (!node) return true;
      // A node that is too small even when it is empty changes nothing, nor does one that has got no more of what is wanted.
      const isLargeEnough = wanted.every(
        (resource) => isIgnored(resource) || (pod.requests.get(resource) ?? 0) <= (node.allocatable.get(resource) ?? 0),
      );
      return (
        isLargeEnough && (!nodeBefore || hasLess(allocatableOf(nodeBefore), node.allocatable, ["pods", ...wanted]))
      );
    },
    begin: (pod) => ({
      filter: (node) => insufficient(pod, node, isIgnored),
      scores: (feasible) => feasible.map((node) => allocationScore(args.scoringStrategy, pod, node)),
    }),
  };
}

const hasLess = (a: Amounts, b: Amounts, resources: readonly string[]): boolean =>
  resources.some((resource) => (a.get(resource) ?? 0) < (b.get(resource) ?? 0));

/** Nodes where the resources would be used in like measure are better. */
export function nodeResourcesBalancedAllocation({
  resources,
}: PluginArgs["NodeResourcesBalancedAllocation"]): SchedulerPlugin {
  return {
    name: "NodeResourcesBalancedAllocation",
    wokenBy: new Set(),
    begin(pod) {
      if (resources.every(({ name }) => (pod.requests.get(name) ?? 0) === 0)) return undefined;
      return { scores: (feasible) => feasible.map((node) => balanceScore(resources, pod, node)) };
    },
  };
}

/** Undefined when the pod fits. More than the node has in all cannot be had by preemption. */
function insufficient(
  pod: PodInfo,
  node: NodeInfo,
  isIgnored: (resource: string) => boolean = () => false,
): Rejection | undefined {
  const reasons: string[] = [];
  let preemptible = true;
  if (node.pods.size + 1 > (node.allocatable.get("pods") ?? 0)) reasons.push("Too many pods");
  for (const [resource, wanted] of pod.requests) {
    if (wanted === 0 || resource === "pods" || isIgnored(resource)) continue;
    const allocatable = node.allocatable.get(resource) ?? 0;
    if (wanted <= allocatable - (node.requested.get(resource) ?? 0)) continue;
    reasons.push(`Insufficient ${resource}`);
    if (wanted > allocatable) preemptible = false;
  }
  return reasons.length > 0 ? { reasons, preemptible } : undefined;
}

/** 0–100, with assumptions for containers that request nothing. */
export function allocationScore(strategy: ScoringStrategy, pod: PodInfo, node: NodeInfo): number {
  let sum = 0;
  let weights = 0;
  for (const { name, weight } of strategy.resources) {
    const allocatable = node.allocatable.get(name) ?? 0;
    if (allocatable === 0 || isBeside(name, pod)) continue;
    const requested = (node.assumedRequested.get(name) ?? 0) + (pod.assumedRequests.get(name) ?? 0);
    const score = resourceScore(strategy, requested, allocatable);
    // A shape's 0 says nothing, as upstream has it.
    if (strategy.type === "RequestedToCapacityRatio" && score === 0) continue;
    sum += score * weight;
    weights += weight;
  }
  if (weights === 0) return 0;
  return strategy.type === "RequestedToCapacityRatio" ? Math.round(sum / weights) : Math.floor(sum / weights);
}

/** A resource such as a GPU says nothing about nodes for a pod that does not ask for it. */
const isBeside = (resource: string, pod: PodInfo): boolean =>
  resource.includes("/") && (pod.requests.get(resource) ?? 0) === 0;

function resourceScore(strategy: ScoringStrategy, requested: number, allocatable: number): number {
  switch (strategy.type) {
    case "LeastAllocated":
      return requested > allocatable ? 0 : Math.floor(((allocatable - requested) * bestScore) / allocatable);
    case "MostAllocated":
      return Math.floor((Math.min(requested, allocatable) * bestScore) / allocatable);
    case "RequestedToCapacityRatio": {
      const utilization = requested > allocatable ? 100 : Math.floor((requested * 100) / allocatable);
      return alongShape(strategy.shape, utilization);
    }
  }
}

/** The score, 0–100, between the points of a shape, whose scores go to 10. */
function alongShape(shape: readonly ShapePoint[], utilization: number): number {
  const scaled = shape.map((point) => ({ utilization: point.utilization, score: (point.score * bestScore) / 10 }));
  const next = scaled.findIndex((point) => utilization <= point.utilization);
  if (next < 0) return scaled.at(-1)?.score ?? 0;
  const to = scaled[next];
  const from = scaled[next - 1];
  if (!to) return 0;
  if (!from) return to.score;
  const share = ((to.score - from.score) * (utilization - from.utilization)) / (to.utilization - from.utilization);
  return from.score + Math.trunc(share);
}

/** 100 less the standard deviation of the used fractions. */
function balanceScore(resources: readonly WeighedResource[], pod: PodInfo, node: NodeInfo): number {
  const fractions: number[] = [];
  for (const { name } of resources) {
    const allocatable = node.allocatable.get(name) ?? 0;
    if (allocatable === 0 || isBeside(name, pod)) continue;
    const requested = (node.requested.get(name) ?? 0) + (pod.requests.get(name) ?? 0);
    fractions.push(Math.min(1, requested / allocatable));
  }
  if (fractions.length < 2) return bestScore;
  const mean = fractions.reduce((sum, fraction) => sum + fraction, 0) / fractions.length;
  const variance = fractions.reduce((sum, fraction) => sum + (fraction - mean) ** 2, 0) / fractions.length;
  return Math.floor((1 - Math.sqrt(variance)) * bestScore);
}
