import { gaugeFamily as gauge, processFamilies } from "#shared/metrics/process-families.ts";
import type { Family, Sample } from "#shared/metrics/prometheus-text.ts";
import type { ContainerStatus } from "../../../runtime/runtime.ts";
import type { Kubelet } from "../../kubelet.ts";

/** /metrics: the kubelet of itself. */
export async function kubeletFamilies(kubelet: Kubelet): Promise<Family[]> {
  const containers = await kubelet.runtime.listContainers();
  const pods = kubelet.pods();
  return [
    gauge("kubelet_node_name", "The node's name; the value is always 1.", [
      { labels: { node: kubelet.options.nodeName }, value: 1 },
    ]),
    gauge("kubelet_running_pods", "Pods with a running sandbox.", [
      { labels: {}, value: pods.filter((pod) => pod.status?.phase === "Running").length },
    ]),
    gauge("kubelet_desired_pods", "Pods that this board is to run.", [{ labels: { static: "" }, value: pods.length }]),
    gauge("kubelet_running_containers", "Containers by their state.", byState(containers)),
    ...processFamilies(),
  ];
}

function byState(containers: readonly ContainerStatus[]): Sample[] {
  const counts = new Map<string, number>();
  for (const { state } of containers) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, value]) => ({ labels: { container_state: state }, value }));
}
