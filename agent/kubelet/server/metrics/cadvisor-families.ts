import { cpus, totalmem } from "node:os";
import type { InterfaceCounters } from "#agent/telemetry/interface-counters.ts";
import { milliValue, wholeValue } from "#shared/api/quantity.ts";
import type { Container, ResourceRequirements } from "#shared/api/types/core-v1.generated.ts";
import type { Family, Sample } from "#shared/metrics/prometheus-text.ts";
import { cgroupPath, PodCgroupNames } from "../../cgroups/cgroup-name.ts";
import { podUid } from "../../pod-containers.ts";
import type { PodStats } from "../../pod-workers.ts";
import { podLabels } from "./resource-families.ts";

type Each = PodStats["containers"][number];
type Cgroup = NonNullable<Each["stats"]["cgroup"]>;

/** /metrics/cadvisor: each container in cAdvisor's names and labels, as dashboards for Kubernetes query them. */
export function cadvisorFamilies(pods: readonly PodStats[]): Family[] {
  const names = new PodCgroupNames("/");
  const containers = pods.flatMap(({ pod, containers }) =>
    containers.map((each) => ({
      each,
      spec: specOf(pod, each.container.name),
      labels: {
        container: each.container.name,
        id: `${cgroupPath(names.pod(pod, podUid(pod)), "cgroupfs")}/${each.container.id}`,
        image: each.container.image,
        name: each.container.id,
        ...podLabels(pod),
      },
    })),
  );
  const family = (
    name: string,
    type: Family["type"],
    help: string,
    value: (each: Each) => number | undefined,
    extra: Readonly<Record<string, string>> = {},
  ): Family => ({
    name,
    type,
    help,
    samples: containers.flatMap(({ each, labels }): Sample[] => {
      const measured = value(each);
      if (measured === undefined) return [];
      return [{ labels: { ...labels, ...extra }, value: measured, at_ms: each.stats.timestamp_ms }];
    }),
  });
  const counted = (
    name: string,
    type: Family["type"],
    help: string,
    value: (cgroup: Cgroup) => number | undefined,
  ): Family => family(name, type, help, ({ stats }) => stats.cgroup && value(stats.cgroup));
  return [
    { name: "cadvisor_version_info", type: "gauge", help: "Who counts.", samples: [{ labels: {}, value: 1 }] },
    { name: "machine_cpu_cores", type: "gauge", help: "CPU cores.", samples: [{ labels: {}, value: cpus().length }] },
    { name: "machine_memory_bytes", type: "gauge", help: "Memory.", samples: [{ labels: {}, value: totalmem() }] },
    family(
      "container_cpu_usage_seconds_total",
      "counter",
      "CPU time in seconds.",
      ({ stats }) => stats.cpuUsage_ns / 1e9,
      { cpu: "total" },
    ),
    counted("container_cpu_user_seconds_total", "counter", "User CPU time in seconds.", (c) => c.cpuUser_ns / 1e9),
    counted(
      "container_cpu_system_seconds_total",
      "counter",
      "System CPU time in seconds.",
      (c) => c.cpuSystem_ns / 1e9,
    ),
    counted("container_cpu_cfs_periods_total", "counter", "Enforcement periods that have passed.", (c) => c.periods),
    counted("container_cpu_cfs_throttled_periods_total", "counter", "Throttled periods.", (c) => c.throttledPeriods),
    counted(
      "container_cpu_cfs_throttled_seconds_total",
      "counter",
      "Time throttled, in seconds.",
      (c) => c.throttled_ns / 1e9,
    ),
    family("container_memory_usage_bytes", "gauge", "Memory, with caches.", ({ stats }) => stats.memoryUsage_bytes),
    family(
      "container_memory_working_set_bytes",
      "gauge",
      "Memory that cannot be taken back at once.",
      ({ stats }) => stats.memoryWorkingSet_bytes,
    ),
    family("container_memory_rss", "gauge", "Anonymous memory.", ({ stats }) => stats.memoryRss_bytes),
    counted("container_memory_cache", "gauge", "Page cache in bytes.", (c) => c.cache_bytes),
    counted("container_memory_mapped_file", "gauge", "Mapped files in bytes.", (c) => c.mapped_bytes),
    counted("container_memory_swap", "gauge", "Swap in bytes.", (c) => c.swap_bytes),
    pageFaults(counted),
    counted("container_processes", "gauge", "Processes.", (c) => c.processes),
    counted("container_threads", "gauge", "Threads, of all processes.", (c) => c.threads),
    ...stalls(counted),
    family(
      "container_fs_usage_bytes",
      "gauge",
      "Bytes in the container's own layer.",
      ({ stats }) => stats.fsUsed_bytes,
    ),
    family("container_last_seen", "gauge", "When it was last seen.", ({ stats }) =>
      Math.round(stats.timestamp_ms / 1000),
    ),
    family("container_start_time_seconds", "gauge", "When it started, in seconds since 1970.", ({ container }) =>
      Math.round((container.startedAt_ms ?? container.createdAt_ms) / 1000),
    ),
    ...limits(containers),
    ...networkFamilies(pods),
  ];
}

type Counted = (name: string, type: "counter", help: string, value: (cgroup: Cgroup) => number | undefined) => Family;

/** Where the kernel watches it: how long a container's tasks waited for a resource. */
function stalls(counted: Counted): Family[] {
  return (["cpu", "memory", "io"] as const).flatMap((resource) =>
    (["some", "full"] as const).map((share) =>
      counted(
        `container_pressure_${resource}_${share === "some" ? "waiting" : "stalled"}_seconds_total`,
        "counter",
        share === "some" ? "Time that a task waited, in seconds." : "Time that no task could go on, in seconds.",
        (cgroup) => {
          const stalls = cgroup.stalls[resource];
          return stalls && stalls[share].total_us / 1e6;
        },
      ),
    ),
  );
}

function pageFaults(counted: Counted): Family {
  const name = "container_memory_failures_total";
  const kinds = [
    counted(name, "counter", "Page faults.", (c) => c.pageFaults - c.majorPageFaults),
    counted(name, "counter", "Page faults.", (c) => c.majorPageFaults),
  ];
  const samples = kinds.flatMap((family, index) =>
    family.samples.map((sample) => ({
      ...sample,
      labels: { ...sample.labels, failure_type: index === 0 ? "pgfault" : "pgmajfault", scope: "container" },
    })),
  );
  return { name, type: "counter", help: "Page faults.", samples };
}

const cfsPeriod_us = 100_000;

function limits(
  containers: readonly { readonly spec: ResourceRequirements | undefined; readonly labels: Record<string, string> }[],
): Family[] {
  const family = (name: string, help: string, value: (spec: ResourceRequirements) => number | undefined): Family => ({
    name,
    type: "gauge",
    help,
    samples: containers.flatMap(({ spec, labels }) => {
      const amount = spec && value(spec);
      return amount === undefined ? [] : [{ labels, value: amount }];
    }),
  });
  const milli = (amount: string | number | undefined): number | undefined =>
    amount === undefined ? undefined : milliValue(amount);
  return [
    family("container_spec_cpu_period", "CPU period in microseconds.", () => cfsPeriod_us),
    family("container_spec_cpu_quota", "CPU quota in microseconds of a period.", ({ limits }) => {
      const cores = milli(limits?.["cpu"]);
      return cores === undefined ? undefined : (cores * cfsPeriod_us) / 1000;
    }),
    family("container_spec_memory_limit_bytes", "Memory limit; 0: none.", ({ limits }) => {
      const memory = limits?.["memory"];
      return memory === undefined ? 0 : wholeValue(memory);
    }),
  ];
}

/** Of each pod's own network; a pod in the board's network has none of its own. */
function networkFamilies(pods: readonly PodStats[]): Family[] {
  const own = pods.flatMap(({ pod, containers }) => {
    const counted = containers.find(({ stats }) => (stats.interfaces?.length ?? 0) > 0);
    if (pod.spec.hostNetwork || !counted) return [];
    const labels = {
      container: "",
      id: `/kubepods/pod${pod.metadata.uid ?? ""}`,
      image: "bramble.local/pause",
      name: "",
      ...podLabels(pod),
    };
    return (counted.stats.interfaces ?? []).map((each) => ({ each, labels, at_ms: counted.stats.timestamp_ms }));
  });
  const families: readonly (readonly [string, string, (each: InterfaceCounters) => number])[] = [
    ["receive_bytes", "Bytes received.", (each) => each.received_bytes],
    ["receive_packets", "Packets received.", (each) => each.receivedPackets],
    ["receive_errors", "Errors on receiving.", (each) => each.receiveErrors],
    ["receive_packets_dropped", "Packets dropped on receiving.", (each) => each.receiveDrops],
    ["transmit_bytes", "Bytes sent.", (each) => each.sent_bytes],
    ["transmit_packets", "Packets sent.", (each) => each.sentPackets],
    ["transmit_errors", "Errors on sending.", (each) => each.sendErrors],
    ["transmit_packets_dropped", "Packets dropped on sending.", (each) => each.sendDrops],
  ];
  return families.map(([name, help, value]) => ({
    name: `container_network_${name}_total`,
    type: "counter",
    help,
    samples: own.map(({ each, labels, at_ms }) => ({
      labels: { ...labels, interface: each.name },
      value: value(each),
      at_ms,
    })),
  }));
}

function specOf(pod: PodStats["pod"], name: string): ResourceRequirements | undefined {
  const { containers, initContainers = [] } = pod.spec;
  const found: Container | undefined = [...containers, ...initContainers].find((each) => each.name === name);
  return found && (found.resources ?? {});
}
