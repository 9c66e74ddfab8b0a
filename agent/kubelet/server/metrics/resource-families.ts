import type { Family } from "#shared/metrics/prometheus-text.ts";
import type { BoardLoad } from "../../../telemetry/usage.ts";
import type { PodStats } from "../../pod-workers.ts";

/** /metrics/resource: what autoscaling and `kubectl top` go by, in upstream's names, each with the time it was read. */
export function resourceFamilies(load: BoardLoad, pods: readonly PodStats[]): Family[] {
  type Each = PodStats["containers"][number];
  const ofContainers = (name: string, type: Family["type"], help: string, value: (each: Each) => number): Family => ({
    name,
    type,
    help: `[STABLE] ${help}`,
    samples: pods.flatMap(({ pod, containers }) =>
      containers.map((each) => ({
        labels: { container: each.container.name, ...podLabels(pod) },
        value: value(each),
        at_ms: each.stats.timestamp_ms,
      })),
    ),
  });
  const ofPods = (name: string, type: Family["type"], help: string, value: (each: Each) => number): Family => ({
    name,
    type,
    help: `[STABLE] ${help}`,
    samples: pods
      .filter(({ containers }) => containers.length > 0)
      .map(({ pod, containers }) => ({
        labels: podLabels(pod),
        value: containers.reduce((sum, each) => sum + value(each), 0),
        at_ms: containers[0]?.stats.timestamp_ms,
      })),
  });
  const ofNode = (name: string, type: Family["type"], help: string, value: number): Family => ({
    name,
    type,
    help: `[STABLE] ${help}`,
    samples: [{ labels: {}, value, at_ms: load.at_ms }],
  });
  const cpu_s = ({ stats }: Each): number => stats.cpuUsage_ns / 1e9;
  const workingSet = ({ stats }: Each): number => stats.memoryWorkingSet_bytes;
  const swap = ({ stats }: Each): number => stats.cgroup?.swap_bytes ?? 0;
  return [
    ofContainers("container_cpu_usage_seconds_total", "counter", "CPU time of the container in core-seconds", cpu_s),
    ofContainers("container_memory_working_set_bytes", "gauge", "Working set of the container in bytes", workingSet),
    ofContainers("container_swap_usage_bytes", "gauge", "Swap of the container in bytes", swap),
    ofContainers(
      "container_start_time_seconds",
      "gauge",
      "Start time of the container in seconds since 1970",
      ({ container }) => (container.startedAt_ms ?? container.createdAt_ms) / 1000,
    ),
    ofNode("node_cpu_usage_seconds_total", "counter", "CPU time of the node in core-seconds", load.cpu_ns / 1e9),
    ofNode("node_memory_working_set_bytes", "gauge", "Working set of the node in bytes", load.memoryUsed_bytes),
    ofNode("node_swap_usage_bytes", "gauge", "Swap of the node in bytes", load.swapUsed_bytes),
    ofPods("pod_cpu_usage_seconds_total", "counter", "CPU time of the pod in core-seconds", cpu_s),
    ofPods("pod_memory_working_set_bytes", "gauge", "Working set of the pod in bytes", workingSet),
    ofPods("pod_swap_usage_bytes", "gauge", "Swap of the pod in bytes", swap),
    {
      name: "resource_scrape_error",
      type: "gauge",
      help: "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
      samples: [{ labels: {}, value: 0 }],
    },
  ];
}

export function podLabels({ metadata }: PodStats["pod"]): Record<string, string> {
  return { namespace: metadata.namespace ?? "", pod: metadata.name ?? "" };
}
