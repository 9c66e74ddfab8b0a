import { type BoardUsage, readUsage } from "../../telemetry/usage.ts";
import type { Kubelet, PodStats } from "../kubelet.ts";

/** One family in Prometheus' text format. */
interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly samples: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

/** Text by path; undefined for a path that serves none. Names are the kubelet's and cAdvisor's. */
export async function renderMetrics(path: string, kubelet: Kubelet): Promise<string | undefined> {
  switch (path) {
    case "/metrics":
      return render(kubeletFamilies(kubelet));
    case "/metrics/resource":
      return render(resourceFamilies(await readUsage(kubelet.options.dataDir), await kubelet.podStats()));
    case "/metrics/cadvisor":
      return render(cadvisorFamilies(await kubelet.podStats()));
    default:
      return undefined;
  }
}

function kubeletFamilies(kubelet: Kubelet): Family[] {
  const memory = process.memoryUsage();
  const cpu = process.cpuUsage();
  const running = kubelet.pods().filter((pod) => pod.status?.phase === "Running").length;
  const gauge = (name: string, help: string, value: number): Family => ({
    name,
    type: "gauge",
    help,
    samples: [{ labels: {}, value }],
  });
  return [
    gauge("kubelet_running_pods", "Pods with a running sandbox.", running),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes.", memory.rss),
    {
      name: "process_cpu_seconds_total",
      type: "counter",
      help: "CPU time spent, user and system.",
      samples: [{ labels: {}, value: (cpu.user + cpu.system) / 1e6 }],
    },
  ];
}

function resourceFamilies(usage: BoardUsage, pods: readonly PodStats[]): Family[] {
  return [
    {
      name: "node_cpu_usage_seconds_total",
      type: "counter",
      help: "CPU time of the node.",
      samples: [{ labels: {}, value: usage.cpu_ns / 1e9 }],
    },
    {
      name: "node_memory_working_set_bytes",
      type: "gauge",
      help: "Working set of the node.",
      samples: [{ labels: {}, value: usage.memoryUsed_bytes }],
    },
    perContainer(
      "container_cpu_usage_seconds_total",
      "counter",
      "CPU time of the container.",
      pods,
      (stats) => stats.cpuUsage_ns / 1e9,
    ),
    perContainer(
      "container_memory_working_set_bytes",
      "gauge",
      "Working set of the container.",
      pods,
      (stats) => stats.memoryWorkingSet_bytes,
    ),
  ];
}

function cadvisorFamilies(pods: readonly PodStats[]): Family[] {
  return [
    perContainer(
      "container_cpu_usage_seconds_total",
      "counter",
      "CPU time of the container.",
      pods,
      (stats) => stats.cpuUsage_ns / 1e9,
    ),
    perContainer(
      "container_memory_usage_bytes",
      "gauge",
      "Memory of the container.",
      pods,
      (stats) => stats.memoryUsage_bytes,
    ),
    perContainer(
      "container_memory_working_set_bytes",
      "gauge",
      "Working set of the container.",
      pods,
      (stats) => stats.memoryWorkingSet_bytes,
    ),
    perContainer(
      "container_memory_rss",
      "gauge",
      "Anonymous memory of the container.",
      pods,
      (stats) => stats.memoryRss_bytes,
    ),
    perContainer(
      "container_network_receive_bytes_total",
      "counter",
      "Bytes received.",
      pods,
      (stats) => stats.networkRx_bytes,
    ),
    perContainer(
      "container_network_transmit_bytes_total",
      "counter",
      "Bytes sent.",
      pods,
      (stats) => stats.networkTx_bytes,
    ),
    perContainer(
      "container_fs_usage_bytes",
      "gauge",
      "Bytes in the container's writable layer.",
      pods,
      (stats) => stats.fsUsed_bytes,
    ),
  ];
}

function perContainer(
  name: string,
  type: Family["type"],
  help: string,
  pods: readonly PodStats[],
  value: (stats: PodStats["containers"][number]["stats"]) => number,
): Family {
  const samples = pods.flatMap(({ pod, containers }) =>
    containers.map(({ container, stats }) => ({
      labels: { container: container.name, namespace: pod.metadata.namespace ?? "", pod: pod.metadata.name ?? "" },
      value: value(stats),
    })),
  );
  return { name, type, help, samples };
}

function render(families: readonly Family[]): string {
  return families
    .map(({ name, type, help, samples }) => {
      const lines = samples.map(({ labels, value }) => {
        const pairs = Object.entries(labels).map(([key, text]) => `${key}="${text.replace(/[\\"\n]/g, "\\$&")}"`);
        return `${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}`;
      });
      return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""].join("\n");
    })
    .join("");
}
