import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";
import { isRestartableInit } from "../pod-containers.ts";
import { milliOf, type ResourceList } from "../pod-qos.ts";

/**
 * What a pod asks a node for, in thousandths: the sum of its containers and sidecars, or the largest moment of its
 * initialisation (KEP-753), the pod's own requests over them, and the overhead of its runtime class.
 */
export function podRequests_m(pod: Pod): Map<string, number> {
  const { containers, initContainers = [], overhead, resources } = pod.spec;
  let total = new Map<string, number>();
  for (const container of containers) total = add(total, requestsOf(container));
  let sidecars = new Map<string, number>();
  let peak = new Map<string, number>();
  for (const container of initContainers) {
    if (isRestartableInit(container)) {
      total = add(total, requestsOf(container));
      sidecars = add(sidecars, requestsOf(container));
      peak = most(peak, sidecars);
    } else {
      peak = most(peak, add(sidecars, requestsOf(container)));
    }
  }
  total = most(total, peak);
  for (const [name, value] of requestMap(resources?.requests)) total.set(name, value);
  return add(total, requestMap(overhead));
}

const requestsOf = (container: Container): Map<string, number> => {
  const limits = requestMap(container.resources?.limits);
  // The API sets requests from limits; static pods come as they are.
  return new Map([...limits, ...requestMap(container.resources?.requests)]);
};

function requestMap(list: ResourceList | undefined): Map<string, number> {
  return new Map(Object.keys(list ?? {}).map((name) => [name, milliOf(list, name)]));
}

function add(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): Map<string, number> {
  const sum = new Map(a);
  for (const [name, value] of b) sum.set(name, (sum.get(name) ?? 0) + value);
  return sum;
}

function most(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): Map<string, number> {
  const result = new Map(a);
  for (const [name, value] of b) result.set(name, Math.max(result.get(name) ?? 0, value));
  return result;
}
