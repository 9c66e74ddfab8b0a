import { milliValue, wholeValue } from "../quantity.ts";
import type { Container, ContainerStatus, Pod } from "../types/core-v1.generated.ts";

/** Amounts by resource name: `cpu` in millicores, everything else in whole units (bytes, pieces). */
export type ResourceAmounts = Map<string, number>;

type ResourceList = Readonly<Record<string, string | number>>;

const milliCpu = "cpu";

/** One quantity in the unit of its resource. */
const amountOf = (resource: string, value: string | number): number =>
  resource === milliCpu ? milliValue(value) : wholeValue(value);

export function amountsOf(list: ResourceList | undefined): ResourceAmounts {
  const amounts: ResourceAmounts = new Map();
  for (const [resource, value] of Object.entries(list ?? {})) amounts.set(resource, amountOf(resource, value));
  return amounts;
}

export function addAmounts(to: ResourceAmounts, more: ReadonlyMap<string, number>): void {
  for (const [resource, amount] of more) to.set(resource, (to.get(resource) ?? 0) + amount);
}

export function subtractAmounts(from: ResourceAmounts, less: ReadonlyMap<string, number>): void {
  for (const [resource, amount] of less) from.set(resource, (from.get(resource) ?? 0) - amount);
}

/** Raises each resource of `to` to at least what the other has. */
function raiseAmounts(to: ResourceAmounts, other: ReadonlyMap<string, number>): void {
  for (const [resource, amount] of other) to.set(resource, Math.max(to.get(resource) ?? 0, amount));
}

export interface PodRequestsOptions {
  /** Counts what a resize in place has not given back yet (status); for pods on a node. */
  readonly useStatus?: boolean | undefined;
  /** Stands in for a container's request of a resource that it does not name; for scoring. */
  readonly whenMissing?: Readonly<Record<string, number>> | undefined;
}

/**
 * What a pod needs at its peak: the sum of its containers and sidecars, or the largest init container beside the sidecars
 * started before it, whichever is more, by resource (KEP-753); replaced by requests of the pod itself where it states
 * them (KEP-2837); plus overhead.
 */
export function podRequests(pod: Pod, options: PodRequestsOptions = {}): ResourceAmounts {
  return podAmounts(pod, "requests", options);
}

/** The same for limits. A resource that some container does not limit counts only what the others limit. */
export function podLimits(pod: Pod): ResourceAmounts {
  return podAmounts(pod, "limits", {});
}

function podAmounts(pod: Pod, which: "requests" | "limits", options: PodRequestsOptions): ResourceAmounts {
  const { spec } = pod;
  const infeasible = isResizeInfeasible(pod);
  const amountsOfContainer = (
    container: Container,
    statuses: readonly ContainerStatus[] | undefined,
  ): ResourceAmounts => {
    const status = options.useStatus ? statuses?.find(({ name }) => name === container.name) : undefined;
    return containerAmounts(container, status, which, infeasible, options);
  };
  const total: ResourceAmounts = new Map();
  for (const container of spec?.containers ?? [])
    addAmounts(total, amountsOfContainer(container, pod.status?.containerStatuses));

  const sidecars: ResourceAmounts = new Map();
  const initPeak: ResourceAmounts = new Map();
  for (const container of spec?.initContainers ?? []) {
    const own = amountsOfContainer(container, pod.status?.initContainerStatuses);
    if (container.restartPolicy === "Always") {
      addAmounts(total, own);
      addAmounts(sidecars, own);
      raiseAmounts(initPeak, sidecars);
    } else {
      addAmounts(own, sidecars);
      raiseAmounts(initPeak, own);
    }
  }
  raiseAmounts(total, initPeak);

  for (const [resource, value] of Object.entries(spec?.resources?.[which] ?? {})) {
    if (isPodLevelResource(resource)) total.set(resource, amountOf(resource, value));
  }
  for (const [resource, amount] of amountsOf(spec?.overhead)) {
    if (which === "requests" || total.has(resource)) total.set(resource, (total.get(resource) ?? 0) + amount);
  }
  return total;
}

const isPodLevelResource = (resource: string): boolean =>
  resource === "cpu" || resource === "memory" || resource.startsWith("hugepages-");

function containerAmounts(
  container: Container,
  status: ContainerStatus | undefined,
  which: "requests" | "limits",
  infeasible: boolean,
  options: PodRequestsOptions,
): ResourceAmounts {
  const amounts = amountsOf(container.resources?.[which]);
  if (status) {
    // A resize that cannot be done does not count; one that can counts from the moment it is asked for.
    if (infeasible) amounts.clear();
    raiseAmounts(amounts, amountsOf(status.resources?.[which]));
    if (which === "requests") raiseAmounts(amounts, amountsOf(status.allocatedResources));
    if (infeasible && amounts.size === 0) raiseAmounts(amounts, amountsOf(container.resources?.[which]));
  }
  for (const [resource, amount] of Object.entries(options.whenMissing ?? {})) {
    if (!amounts.has(resource)) amounts.set(resource, amount);
  }
  return amounts;
}

const isResizeInfeasible = (pod: Pod): boolean =>
  pod.status?.conditions?.some(
    ({ type, status, reason }) => type === "PodResizePending" && status === "True" && reason === "Infeasible",
  ) ?? false;
