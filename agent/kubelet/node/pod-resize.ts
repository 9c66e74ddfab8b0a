import { amountsOf, podRequests } from "#shared/api/scheduling/pod-resources.ts";
import type { Container, Node, Pod, PodCondition } from "#shared/api/types/core-v1.generated.ts";
import { type MemoryEnd, maySwap } from "../container/container-resources.ts";
import { isStaticPod } from "../pod-containers.ts";
import { milliOf, podQosClass } from "../pod-qos.ts";

/** Why a pod does not get the resources it asks for: never on this node, or not now (KEP-1287). */
export interface ResizeRefusal {
  readonly reason: "Infeasible" | "Deferred";
  readonly message: string;
}

/** Can the node never give the pod the resources of its spec, whatever else runs here? */
export function refuseResizeOutright(pod: Pod, node: Node): ResizeRefusal | undefined {
  if (isStaticPod(pod)) return { reason: "Infeasible", message: "In-place resize of static-pods is not supported" };
  const requests = podRequests(pod);
  const allocatable = amountsOf(node.status?.allocatable);
  for (const name of ["memory", "cpu"] as const) {
    const requested = requests.get(name) ?? 0;
    const capacity = allocatable.get(name) ?? 0;
    if (requested <= capacity) continue;
    const message = `Node didn't have enough capacity: ${name}, requested: ${requested}, capacity: ${capacity}`;
    return { reason: "Infeasible", message };
  }
  return undefined;
}

/** What a container may have of the swap follows from the memory that it requests when it starts: only a restart changes both. */
export function refuseSwapped(pod: Pod, granted: Pod, memoryEnd: MemoryEnd): ResizeRefusal | undefined {
  const had = containersByName(granted);
  const isSwapped = allContainers(pod).some((container) => {
    const before = had.get(container.name);
    if (!before || restartsForMemory(before)) return false;
    const isOther = milliOf(container.resources?.requests, "memory") !== milliOf(before.resources?.requests, "memory");
    return isOther && (maySwap(pod, container, memoryEnd) || maySwap(granted, before, memoryEnd));
  });
  if (!isSwapped) return undefined;
  return { reason: "Infeasible", message: "In-place resize of containers with swap is not supported." };
}

const restartsForMemory = ({ resizePolicy = [] }: Container): boolean =>
  resizePolicy.find(({ resourceName }) => resourceName === "memory")?.restartPolicy === "RestartContainer";

const allContainers = ({ spec }: Pod): Container[] => [...(spec.initContainers ?? []), ...spec.containers];
const containersByName = (pod: Pod): ReadonlyMap<string, Container> =>
  new Map(allContainers(pod).map((container) => [container.name, container]));

/** Where guaranteed pods have CPUs or memory of their own, these stay as they were when it was let in. */
export function refuseFixed(
  pod: Pod,
  granted: Pod,
  fixed: { readonly cpu: boolean; readonly memory: boolean },
): ResizeRefusal | undefined {
  if (podQosClass(pod) !== "Guaranteed") return undefined;
  const had = containersByName(granted);
  for (const [name, manager] of [
    ["cpu", "CPU Manager"],
    ["memory", "Memory Manager"],
  ] as const) {
    const isOther = allContainers(pod).some(
      ({ name: container, resources }) =>
        milliOf(resources?.requests, name) !== milliOf(had.get(container)?.resources?.requests, name),
    );
    if (!fixed[name] || !isOther) continue;
    const policy = name === "cpu" ? "static" : "Static";
    const message = `Resize is infeasible for Guaranteed Pods alongside ${manager} policy "${policy}"`;
    return { reason: "Infeasible", message };
  }
  return undefined;
}

export interface ResizeProgress {
  readonly pending?: (ResizeRefusal & { readonly generation: number | undefined }) | undefined;
  /** Granted, and not yet had by all containers; with an error when one cannot have it now. */
  readonly inProgress?: { readonly error?: string | undefined; readonly generation: number | undefined } | undefined;
}

/** The conditions that tell of a resize, each of the generation that was looked at; none when there is none. */
export function resizeConditions({ pending, inProgress }: ResizeProgress): PodCondition[] {
  const condition = (type: string, generation: number | undefined, why: Pick<PodCondition, "reason" | "message">) => ({
    type,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    status: "True",
    ...why,
  });
  const conditions: PodCondition[] = [];
  if (pending) {
    const { reason, message, generation } = pending;
    conditions.push(condition("PodResizePending", generation, { reason, message }));
  }
  if (inProgress) {
    const { error, generation } = inProgress;
    const why = error === undefined ? {} : { reason: "Error", message: error };
    conditions.push(condition("PodResizeInProgress", generation, why));
  }
  return conditions;
}

/** What events about a resize carry: the resources in question. */
export function resizeSummary(pod: Pod, title: string, error?: string): string {
  const of = (containers: Pod["spec"]["containers"]): object[] =>
    containers.map(({ name, resources = {} }) => ({ name, resources }));
  const { initContainers = [], containers } = pod.spec;
  const summary = {
    ...(initContainers.length > 0 ? { initContainers: of(initContainers) } : {}),
    containers: of(containers),
    generation: pod.metadata.generation ?? 0,
    ...(error === undefined ? {} : { error }),
  };
  return `${title}: ${JSON.stringify(summary)}`;
}

export interface WaitingResize {
  readonly pod: Pod;
  /** The pod with what it has been granted. */
  readonly granted: Pod;
  readonly since_ms: number;
}

/**
 * Which of two resizes that wait comes first: one that asks for no more than the pod has, then that of the pod of higher priority,
 * then of a guaranteed one, then the one that has waited longer. As upstream's sortPendingResizes.
 */
export function byTurn(a: WaitingResize, b: WaitingResize): number {
  const isGuaranteed = ({ pod }: WaitingResize): number => Number(podQosClass(pod) === "Guaranteed");
  return (
    Number(asksForMore(a)) - Number(asksForMore(b)) ||
    (b.pod.spec.priority ?? 0) - (a.pod.spec.priority ?? 0) ||
    isGuaranteed(b) - isGuaranteed(a) ||
    a.since_ms - b.since_ms
  );
}

function asksForMore({ pod, granted }: WaitingResize): boolean {
  const [wanted, had] = [podRequests(pod), podRequests(granted)];
  return ["cpu", "memory"].some((name) => (wanted.get(name) ?? 0) > (had.get(name) ?? 0));
}
