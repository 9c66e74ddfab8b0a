import { milliValue } from "#shared/api/quantity.ts";
import type { Container, Pod } from "#shared/api/types/core-v1.generated.ts";

export type QosClass = "Guaranteed" | "Burstable" | "BestEffort";
export type ResourceList = { readonly [key: string]: string | number };

const counted = ["cpu", "memory"] as const;

/** The quality-of-service class that requests and limits give a pod; pod-level resources take precedence. */
export function podQosClass(pod: Pod): QosClass {
  const { resources } = pod.spec;
  const lists =
    resources && (resources.requests || resources.limits)
      ? [resources]
      : [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map((container) => container.resources ?? {});
  const requests = sum(lists.map(({ requests }) => requests));
  const limits = sum(lists.map(({ limits }) => limits));
  if (requests.size === 0 && limits.size === 0) return "BestEffort";
  const allLimited = lists.every((list) => counted.every((name) => positive(list.limits, name) > 0));
  const equal = counted.every((name) => (requests.get(name) ?? 0) === (limits.get(name) ?? 0));
  return allLimited && equal && requests.size === limits.size ? "Guaranteed" : "Burstable";
}

function positive(list: ResourceList | undefined, name: string): number {
  const value = list?.[name];
  return value === undefined ? 0 : Math.max(0, milliValue(value));
}

function sum(lists: readonly (ResourceList | undefined)[]): Map<string, number> {
  const total = new Map<string, number>();
  for (const name of counted) {
    const value = lists.reduce((so_far, list) => so_far + positive(list, name), 0);
    if (value > 0) total.set(name, value);
  }
  return total;
}

/** Value of one request or limit in whole units (bytes), 0 when absent. */
export function wholeOf(list: ResourceList | undefined, name: string): number {
  const value = list?.[name];
  return value === undefined ? 0 : Math.ceil(milliValue(value) / 1000);
}

/** Value of one request or limit in thousandths (millicores), 0 when absent. */
export function milliOf(list: ResourceList | undefined, name: string): number {
  const value = list?.[name];
  return value === undefined ? 0 : milliValue(value);
}

export function requestsOf(container: Container): ResourceList {
  return container.resources?.requests ?? {};
}

export function limitsOf(container: Container): ResourceList {
  return container.resources?.limits ?? {};
}
