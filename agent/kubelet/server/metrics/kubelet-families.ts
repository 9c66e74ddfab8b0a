import { readdirSync } from "node:fs";
import type { Family, Sample } from "#shared/metrics/prometheus-text.ts";
import { gitVersion, kubernetesVersion } from "#shared/version.ts";
import type { ContainerStatus } from "../../../runtime/runtime.ts";
import type { Kubelet } from "../../kubelet.ts";

const startedAt_s = Date.now() / 1000 - process.uptime();

/** /metrics: the kubelet of itself. */
export async function kubeletFamilies(kubelet: Kubelet): Promise<Family[]> {
  const cpu = process.cpuUsage();
  const containers = await kubelet.runtime.listContainers();
  const pods = kubelet.pods();
  const [major = "", minor = ""] = kubernetesVersion.replace(/^v/, "").split(".");
  return [
    gauge("kubernetes_build_info", "What was built.", [
      { labels: { git_version: gitVersion, major, minor, platform: `linux/${process.arch}` }, value: 1 },
    ]),
    gauge("kubelet_node_name", "The node's name; the value is always 1.", [
      { labels: { node: kubelet.options.nodeName }, value: 1 },
    ]),
    gauge("kubelet_running_pods", "Pods with a running sandbox.", [
      { labels: {}, value: pods.filter((pod) => pod.status?.phase === "Running").length },
    ]),
    gauge("kubelet_desired_pods", "Pods that this board is to run.", [{ labels: { static: "" }, value: pods.length }]),
    gauge("kubelet_running_containers", "Containers by their state.", byState(containers)),
    {
      name: "process_cpu_seconds_total",
      type: "counter",
      help: "CPU time, user and system, in seconds.",
      samples: [{ labels: {}, value: (cpu.user + cpu.system) / 1e6 }],
    },
    gauge("process_resident_memory_bytes", "Resident memory in bytes.", [
      { labels: {}, value: process.memoryUsage().rss },
    ]),
    gauge("process_start_time_seconds", "Start in seconds since 1970.", [{ labels: {}, value: startedAt_s }]),
    gauge("process_open_fds", "Open file descriptors.", [{ labels: {}, value: readdirSync("/proc/self/fd").length }]),
  ];
}

const gauge = (name: string, help: string, samples: readonly Sample[]): Family => ({
  name,
  type: "gauge",
  help,
  samples,
});

function byState(containers: readonly ContainerStatus[]): Sample[] {
  const counts = new Map<string, number>();
  for (const { state } of containers) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, value]) => ({ labels: { container_state: state }, value }));
}
