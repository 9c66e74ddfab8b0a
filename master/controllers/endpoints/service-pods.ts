import { keyOf } from "#shared/api/object.ts";
import { isTerminal } from "#shared/api/pod-phase.ts";
import { services } from "#shared/api/resources.ts";
import { labelSelectorOfMap } from "#shared/api/selector/label-selector.ts";
import { sidecarsOf } from "#shared/api/sidecars.ts";
import type { Container, Pod, Service, ServicePort } from "#shared/api/types/core-v1.generated.ts";
import type { EnqueueMapper } from "#shared/client/controller.ts";
import type { InformerEvent, Lister } from "#shared/client/informer.ts";
import { isPodReady } from "../pod-condition.ts";

/** Services that select the pod. */
export const servicesOfPod: EnqueueMapper<Pod> = ({ metadata }, { lister }) =>
  lister(services)
    .list(metadata.namespace)
    .filter(({ spec }) => spec?.selector && matches(spec.selector, metadata.labels ?? {}))
    .map(keyOf);

/** Pods of one rollout become ready together: their Service is written once, which also spares the card. */
export const podBatch_ms = 50;

/** Called for every Service at every change of a pod, so without allocations. */
function matches(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  let count = 0;
  for (const key in selector) {
    if (labels[key] !== selector[key]) return false;
    count++;
  }
  return count > 0;
}

/** The pods that the Service selects; none when it has no selector. */
export function selectedPods({ metadata, spec }: Service, pods: Lister<Pod>): readonly Pod[] {
  if (!spec?.selector || Object.keys(spec.selector).length === 0) return [];
  const selector = labelSelectorOfMap(spec.selector);
  return pods.labelled(metadata.namespace, (labels) => selector.matches(labels));
}

/** Whether an event of a pod can change any endpoint. */
export function concernsEndpoints(event: InformerEvent<Pod>): boolean {
  if (event.type !== "update") return true;
  const facts = (pod: Pod): unknown => [
    pod.metadata.labels,
    pod.metadata.deletionTimestamp,
    pod.spec?.nodeName,
    pod.spec?.hostname,
    pod.spec?.subdomain,
    pod.status?.podIPs,
    isPodReady(pod),
    isTerminal(pod),
  ];
  return JSON.stringify(facts(event.old)) !== JSON.stringify(facts(event.object));
}

/** A pod with an address that has not ended; one that is being deleted only if asked for. */
export function mayBeEndpoint(pod: Pod, terminating: "with terminating" | "without terminating"): boolean {
  if (isTerminal(pod) || !pod.status?.podIP) return false;
  return terminating === "with terminating" || !pod.metadata.deletionTimestamp;
}

export const isHeadless = ({ spec }: Service): boolean => spec?.clusterIP === "None";

export const addressesOf = ({ status }: Pod): string[] => {
  const all = (status?.podIPs ?? []).map(({ ip }) => ip);
  return all.length > 0 ? all : status?.podIP ? [status.podIP] : [];
};

/** The pod is known in DNS by its host name under this Service. */
export const hasHostname = ({ spec, metadata }: Pod, service: Service): boolean =>
  !!spec?.hostname && spec.subdomain === service.metadata.name && metadata.namespace === service.metadata.namespace;

/** The number on the pod that a Service's port leads to; undefined when the pod has no port of that name. */
export function portOnPod({ spec }: Pod, { targetPort, port, protocol = "TCP" }: ServicePort): number | undefined {
  if (targetPort === undefined || targetPort === "" || targetPort === 0) return port;
  if (typeof targetPort === "number") return targetPort;
  const named = (containers: readonly Container[]): number | undefined =>
    containers
      .flatMap(({ ports = [] }) => ports)
      .find((one) => one.name === targetPort && (one.protocol ?? "TCP") === protocol)?.containerPort;
  const sidecars = sidecarsOf(spec);
  return named(spec?.containers ?? []) ?? named(sidecars);
}
