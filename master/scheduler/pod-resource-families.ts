/** What pods ask for and are held to, as the scheduler counts it, under upstream's names: /metrics/resources. */

import { isTerminal } from "#shared/api/pod-phase.ts";
import { podLimits, podRequests, type ResourceAmounts } from "#shared/api/scheduling/pod-resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Family, Sample } from "#shared/metrics/prometheus-text.ts";

/** Pods that have ended hold nothing any more. */
export function podResourceFamilies(pods: readonly Pod[]): Family[] {
  const held = pods.filter((pod) => !isTerminal(pod));
  const family = (name: string, help: string, of: (pod: Pod) => ResourceAmounts): Family => ({
    name,
    type: "gauge",
    help,
    samples: held.flatMap((pod) => samplesOf(pod, of(pod))),
  });
  return [
    family("kube_pod_resource_request", "What a pod asks for, with its overhead.", podRequests),
    family("kube_pod_resource_limit", "What a pod is held to, with its overhead.", podLimits),
  ];
}

function samplesOf({ metadata, spec }: Pod, amounts: ResourceAmounts): Sample[] {
  const labels = {
    namespace: metadata.namespace ?? "",
    pod: metadata.name ?? "",
    node: spec.nodeName ?? "",
    scheduler: spec.schedulerName ?? "",
    priority: spec.priority === undefined ? "" : String(spec.priority),
  };
  return [...amounts]
    .filter(([, amount]) => amount !== 0)
    .map(([resource, amount]) => ({
      labels: { ...labels, resource, unit: unitOf(resource) },
      value: resource === "cpu" ? amount / 1000 : amount,
    }));
}

const byteResources: ReadonlySet<string> = new Set(["memory", "storage", "ephemeral-storage"]);

function unitOf(resource: string): string {
  if (resource === "cpu") return "cores";
  if (byteResources.has(resource) || resource.startsWith("hugepages-")) return "bytes";
  return resource.startsWith("attachable-volumes-") ? "integer" : "";
}
