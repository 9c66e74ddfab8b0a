import type { Family } from "#shared/metrics/prometheus-text.ts";
import type { PodStats } from "../../pod-workers.ts";

/** A container of a pod with its last measurement. */
export type MeasuredContainer = PodStats["containers"][number];
type Cgroup = NonNullable<MeasuredContainer["stats"]["cgroup"]>;

/** What cAdvisor tells of each container, under its name there. */
export interface ContainerMetric extends Pick<Family, "name" | "type" | "help"> {
  /** One sample a container and series; none where `value` is undefined. */
  readonly series: readonly {
    readonly labels: Readonly<Record<string, string>>;
    value(container: MeasuredContainer): number | undefined;
  }[];
}

type Value = ContainerMetric["series"][number]["value"];

const metric =
  (type: Family["type"]) =>
  (name: string, help: string, value: Value, labels: Readonly<Record<string, string>> = {}): ContainerMetric => ({
    name,
    type,
    help,
    series: [{ labels, value }],
  });
const counter = metric("counter");
const gauge = metric("gauge");

/** What the kernel counts of a control group; where the runtime does not show its files there is none. */
const inCgroup =
  (value: (cgroup: Cgroup) => number | undefined): Value =>
  ({ stats }) =>
    stats.cgroup && value(stats.cgroup);

const cpuMetrics: readonly ContainerMetric[] = [
  counter("container_cpu_usage_seconds_total", "CPU time in seconds.", ({ stats }) => stats.cpuUsage_ns / 1e9, {
    cpu: "total",
  }),
  counter(
    "container_cpu_user_seconds_total",
    "User CPU time in seconds.",
    inCgroup(({ cpuUser_ns }) => cpuUser_ns / 1e9),
  ),
  counter(
    "container_cpu_system_seconds_total",
    "System CPU time in seconds.",
    inCgroup(({ cpuSystem_ns }) => cpuSystem_ns / 1e9),
  ),
  counter(
    "container_cpu_cfs_periods_total",
    "Enforcement periods that have passed.",
    inCgroup(({ periods }) => periods),
  ),
  counter(
    "container_cpu_cfs_throttled_periods_total",
    "Throttled periods.",
    inCgroup(({ throttledPeriods }) => throttledPeriods),
  ),
  counter(
    "container_cpu_cfs_throttled_seconds_total",
    "Time throttled, in seconds.",
    inCgroup(({ throttled_ns }) => throttled_ns / 1e9),
  ),
];

const pageFaultLabels = (failure_type: "pgfault" | "pgmajfault") => ({ failure_type, scope: "container" });

const memoryMetrics: readonly ContainerMetric[] = [
  gauge("container_memory_usage_bytes", "Memory, with caches.", ({ stats }) => stats.memoryUsage_bytes),
  gauge(
    "container_memory_working_set_bytes",
    "Memory that cannot be taken back at once.",
    ({ stats }) => stats.memoryWorkingSet_bytes,
  ),
  gauge("container_memory_rss", "Anonymous memory.", ({ stats }) => stats.memoryRss_bytes),
  gauge(
    "container_memory_cache",
    "Page cache in bytes.",
    inCgroup(({ cache_bytes }) => cache_bytes),
  ),
  gauge(
    "container_memory_mapped_file",
    "Mapped files in bytes.",
    inCgroup(({ mapped_bytes }) => mapped_bytes),
  ),
  gauge(
    "container_memory_swap",
    "Swap in bytes.",
    inCgroup(({ swap_bytes }) => swap_bytes),
  ),
  {
    name: "container_memory_failures_total",
    type: "counter",
    help: "Page faults.",
    series: [
      {
        labels: pageFaultLabels("pgfault"),
        value: inCgroup(({ pageFaults, majorPageFaults }) => pageFaults - majorPageFaults),
      },
      { labels: pageFaultLabels("pgmajfault"), value: inCgroup(({ majorPageFaults }) => majorPageFaults) },
    ],
  },
];

const taskMetrics: readonly ContainerMetric[] = [
  gauge(
    "container_processes",
    "Processes.",
    inCgroup(({ processes }) => processes),
  ),
  gauge(
    "container_threads",
    "Threads, of all processes.",
    inCgroup(({ threads }) => threads),
  ),
];

/** Where the kernel watches it: how long a container's tasks waited for a resource (PSI). */
const pressureMetrics: readonly ContainerMetric[] = (["cpu", "memory", "io"] as const).flatMap((resource) => {
  const stalled_s = (share: "some" | "full"): Value =>
    inCgroup(({ stalls: { [resource]: stalls } }) => stalls && stalls[share].total_us / 1e6);
  return [
    counter(
      `container_pressure_${resource}_waiting_seconds_total`,
      "Time that a task waited, in seconds.",
      stalled_s("some"),
    ),
    counter(
      `container_pressure_${resource}_stalled_seconds_total`,
      "Time that no task could go on, in seconds.",
      stalled_s("full"),
    ),
  ];
});

const lifeMetrics: readonly ContainerMetric[] = [
  gauge("container_fs_usage_bytes", "Bytes in the container's own layer.", ({ stats }) => stats.fsUsed_bytes),
  gauge("container_last_seen", "When it was last seen.", ({ stats }) => Math.round(stats.timestamp_ms / 1000)),
  gauge("container_start_time_seconds", "When it started, in seconds since 1970.", ({ container }) =>
    Math.round((container.startedAt_ms ?? container.createdAt_ms) / 1000),
  ),
];

/** In the order in which they are told. */
export const containerMetrics: readonly ContainerMetric[] = [
  ...cpuMetrics,
  ...memoryMetrics,
  ...taskMetrics,
  ...pressureMetrics,
  ...lifeMetrics,
];
