import type { Container, Pod, ResourceRequirements } from "#shared/api/types/core-v1.generated.ts";
import { milliOf } from "../pod-qos.ts";

/** Resources by container name: what a node has granted a pod. */
export type Allocation = ReadonlyMap<string, ResourceRequirements>;

const resizable = ["cpu", "memory"] as const;
const lists = ["requests", "limits"] as const;

export function allocationOf(pod: Pod): Allocation {
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  return new Map(containers.map(({ name, resources = {} }) => [name, resources]));
}

/** The pod with the resources that were granted instead of those it asks for now. */
export function withAllocation(pod: Pod, allocation: Allocation): Pod {
  if (sameAllocation(allocationOf(pod), allocation)) return pod;
  const granted = (container: Container): Container => ({
    ...container,
    resources: allocation.get(container.name) ?? container.resources,
  });
  const { initContainers, containers } = pod.spec;
  return {
    ...pod,
    spec: {
      ...pod.spec,
      ...(initContainers ? { initContainers: initContainers.map(granted) } : {}),
      containers: containers.map(granted),
    },
  };
}

export function sameAllocation(a: Allocation, b: Allocation): boolean {
  return [...a].every(([name, resources]) => differences(resources, b.get(name) ?? {}).length === 0);
}

/** Resources whose request or limit differs. */
function differences(a: ResourceRequirements, b: ResourceRequirements): ("cpu" | "memory")[] {
  return resizable.filter((name) => lists.some((list) => milliOf(a[list], name) !== milliOf(b[list], name)));
}

/** How a running container gets from its resources to others: not at all, in place, or by a restart. */
export function resizeWay(container: Container, actual: ResourceRequirements): "none" | "in-place" | "restart" {
  const changed = differences(container.resources ?? {}, actual);
  if (changed.length === 0) return "none";
  const restarts = changed.some((name) =>
    container.resizePolicy?.some(
      (policy) => policy.resourceName === name && policy.restartPolicy === "RestartContainer",
    ),
  );
  return restarts ? "restart" : "in-place";
}
