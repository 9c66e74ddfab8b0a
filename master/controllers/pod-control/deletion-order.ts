import { sidecarsOf } from "#shared/api/sidecars.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { isPodReady } from "../pod-condition.ts";
import { isPodActive, readySince_ms } from "./pod-availability.ts";

const deletionCostAnnotation = "controller.kubernetes.io/pod-deletion-cost";
const phaseOrder: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/** What is compared of a pod, in the order of importance. */
interface Rank {
  readonly pod: Pod;
  readonly phase: number;
  readonly ready: boolean;
  readonly cost: number;
  /** Active pods of related sets on the same node. */
  readonly neighbours: number;
  readonly ready_ms: number | undefined;
  readonly created_ms: number;
  readonly restarts: number;
  readonly sidecarRestarts: number;
}

/**
 * The pods to delete when `count` are too many (pure): first those without a node, then by phase, then those not ready,
 * by their deletion cost, from crowded nodes, the younger by orders of magnitude of age, those that restarted most.
 * Spec: upstream's ActivePodsWithRanks with PodDeletionCost and LogarithmicScaleDown.
 */
export function podsToDelete(pods: readonly Pod[], related: readonly Pod[], count: number, now_ms: number): Pod[] {
  if (count >= pods.length) return [...pods];
  const onNode = new Map<string, number>();
  for (const pod of related) {
    const node = pod.spec?.nodeName ?? "";
    if (isPodActive(pod)) onNode.set(node, (onNode.get(node) ?? 0) + 1);
  }
  return pods
    .map((pod) => rankOf(pod, onNode))
    .sort((a, b) => compare(a, b, now_ms))
    .slice(0, count)
    .map(({ pod }) => pod);
}

function rankOf(pod: Pod, onNode: ReadonlyMap<string, number>): Rank {
  const sidecars = new Set(sidecarsOf(pod.spec).map(({ name }) => name));
  const most = (counts: readonly number[] | undefined): number => Math.max(0, ...(counts ?? []));
  return {
    pod,
    phase: phaseOrder[pod.status?.phase ?? ""] ?? 0,
    ready: isPodReady(pod),
    cost: deletionCost(pod),
    neighbours: onNode.get(pod.spec?.nodeName ?? "") ?? 0,
    ready_ms: readySince_ms(pod),
    created_ms: Date.parse(pod.metadata.creationTimestamp ?? "") || 0,
    restarts: most(pod.status?.containerStatuses?.map(({ restartCount }) => restartCount)),
    sidecarRestarts: most(
      pod.status?.initContainerStatuses
        ?.filter(({ name }) => sidecars.has(name))
        .map(({ restartCount }) => restartCount),
    ),
  };
}

/** An int32; anything else counts as 0. */
function deletionCost({ metadata }: Pod): number {
  const text = metadata.annotations?.[deletionCostAnnotation] ?? "";
  if (!/^(0|-?[1-9]\d*)$/.test(text)) return 0;
  const cost = Number(text);
  return cost >= -(2 ** 31) && cost < 2 ** 31 ? cost : 0;
}

function compare(a: Rank, b: Rank, now_ms: number): number {
  const [aNode, bNode] = [!!a.pod.spec?.nodeName, !!b.pod.spec?.nodeName];
  if (aNode !== bNode) return Number(aNode) - Number(bNode);
  if (a.phase !== b.phase) return a.phase - b.phase;
  if (a.ready !== b.ready) return Number(a.ready) - Number(b.ready);
  if (a.cost !== b.cost) return a.cost - b.cost;
  if (a.neighbours !== b.neighbours) return b.neighbours - a.neighbours;
  if (a.ready && b.ready && a.ready_ms !== b.ready_ms) return compareAge(a, b, a.ready_ms, b.ready_ms, now_ms);
  if (a.restarts !== b.restarts) return b.restarts - a.restarts;
  if (a.sidecarRestarts !== b.sidecarRestarts) return b.sidecarRestarts - a.sidecarRestarts;
  if (a.created_ms !== b.created_ms) return compareAge(a, b, a.created_ms, b.created_ms, now_ms);
  return 0;
}

/** Younger first, where ages of the same order of magnitude count as equal, so that old nodes are not emptied first. */
function compareAge(a: Rank, b: Rank, a_ms: number | undefined, b_ms: number | undefined, now_ms: number): number {
  if (!a_ms || !b_ms) return a_ms ? 1 : -1;
  const difference = magnitude(now_ms - a_ms) - magnitude(now_ms - b_ms);
  if (difference !== 0) return difference;
  return (a.pod.metadata.uid ?? "") < (b.pod.metadata.uid ?? "") ? -1 : 1;
}

const magnitude = (age_ms: number): number => (age_ms > 0 ? Math.floor(Math.log2(age_ms * 1e6)) : -1);
