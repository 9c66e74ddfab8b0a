/** What a pod's containers need together (KEP-753 for sidecars), and the quality of service that follows from it. */
import { addQuantities, compareQuantities, parseQuantity, type Quantity, zeroQuantity } from "#shared/api/quantity.ts";
import type { Pod, PodSpec, ResourceRequirements } from "#shared/api/types/core-v1.generated.ts";
import { type Amounts, isHugePages } from "../../validation/quantities.ts";

export const isPodLevelResource = (name: string): boolean => name === "cpu" || name === "memory" || isHugePages(name);

type Totals = Map<string, Quantity>;

function add(totals: Totals, amounts: Amounts | undefined): Totals {
  for (const [name, amount] of Object.entries(amounts ?? {})) {
    totals.set(name, addQuantities(totals.get(name) ?? zeroQuantity, parseQuantity(amount)));
  }
  return totals;
}

/** Requests or limits of all containers: the larger of what runs together and what each init container needs. */
export function aggregate(spec: PodSpec, side: "requests" | "limits"): Totals {
  const totals: Totals = new Map();
  for (const { resources } of spec.containers ?? []) add(totals, resources?.[side]);
  const sidecars: Totals = new Map();
  const peak: Totals = new Map();
  for (const { resources, restartPolicy } of spec.initContainers ?? []) {
    const amounts = resources?.[side];
    if (restartPolicy === "Always") {
      add(totals, amounts);
      add(sidecars, amounts);
    }
    const needed = restartPolicy === "Always" ? sidecars : add(new Map(sidecars), amounts);
    for (const [name, amount] of needed) raise(peak, name, amount);
  }
  for (const [name, amount] of peak) raise(totals, name, amount);
  return totals;
}

function raise(totals: Totals, name: string, amount: Quantity): void {
  const known = totals.get(name);
  if (known === undefined || compareQuantities(amount, known) > 0) totals.set(name, amount);
}

export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";

/** The quality of service class of a pod (pkg/apis/core/helper/qos). */
export function qosClass(spec: PodSpec): QosClass {
  const sources: (ResourceRequirements | undefined)[] = spec.resources
    ? [spec.resources]
    : [...(spec.containers ?? []), ...(spec.initContainers ?? [])].map(({ resources }) => resources);
  const requests: Totals = new Map();
  const limits: Totals = new Map();
  let guaranteed = true;
  for (const source of sources) {
    add(requests, computeAmounts(source?.requests));
    const limited = computeAmounts(source?.limits);
    add(limits, limited);
    const isLimited = "cpu" in limited && "memory" in limited;
    if (!isLimited && (spec.resources === undefined || source?.limits !== undefined)) guaranteed = false;
  }
  if (requests.size === 0 && limits.size === 0) return "BestEffort";
  const covered = [...requests].every(([name, amount]) => {
    const limit = limits.get(name);
    return limit !== undefined && compareQuantities(limit, amount) === 0;
  });
  return guaranteed && covered && requests.size === limits.size ? "Guaranteed" : "Burstable";
}

function computeAmounts(amounts: Amounts | undefined): Amounts {
  return Object.fromEntries(
    Object.entries(amounts ?? {}).filter(
      ([name, amount]) =>
        (name === "cpu" || name === "memory") && compareQuantities(parseQuantity(amount), zeroQuantity) > 0,
    ),
  );
}

/** The class a pod has: once in its status it stays. */
export const qosClassOf = (pod: Pod): string => pod.status?.qosClass || qosClass(pod.spec);
