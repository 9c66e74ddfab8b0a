import { readFileSync } from "node:fs";
import type { ContainerStats } from "../../runtime/runtime.ts";
import type { InterfaceCounters } from "../../telemetry/interface-counters.ts";
import type { BoardUsage } from "../../telemetry/usage.ts";
import type { PodStats } from "../kubelet.ts";
import type { VolumeStats } from "../volumes/volume-stats.ts";
import type { CpuRates } from "./cpu-rates.ts";

export interface SummaryInput {
  readonly nodeName: string;
  readonly usage: BoardUsage;
  readonly pods: readonly PodStats[];
  /** By UID of the pod. */
  readonly volumes: ReadonlyMap<string, readonly VolumeStats[]>;
  /** Remembers the counters of the last summary. */
  readonly rates: CpuRates;
}

/** The kubelet's stats/v1alpha1 Summary of the board and its pods. */
export function statsSummary({ nodeName, usage, pods, volumes, rates }: SummaryInput): object {
  const now_ms = Date.now();
  const time = new Date(now_ms).toISOString();
  const cores = rates.update(
    new Map([
      ["", { at_ms: now_ms, cpu_ns: usage.cpu_ns }],
      ...pods.flatMap(({ containers }) =>
        containers.map(
          ({ container, stats }) => [container.id, { at_ms: stats.timestamp_ms, cpu_ns: stats.cpuUsage_ns }] as const,
        ),
      ),
    ]),
  );
  return {
    node: { nodeName, startTime: bootTime(), ...nodeStats(usage, time, cores.get("")) },
    pods: pods.map((pod) => ({
      ...podSummary(pod, time, cores),
      ...volumesOf(volumes.get(pod.pod.metadata.uid ?? "") ?? []),
    })),
  };
}

function podSummary({ pod, containers }: PodStats, time: string, cores: ReadonlyMap<string, number>): object {
  const rates = containers.map(({ container }) => cores.get(container.id));
  const known = containers.length > 0 && rates.every((rate) => rate !== undefined);
  return {
    podRef: { name: pod.metadata.name, namespace: pod.metadata.namespace, uid: pod.metadata.uid },
    startTime: pod.status?.startTime ?? null,
    containers: containers.map(({ container, stats }) => ({
      name: container.name,
      startTime: new Date(container.startedAt_ms ?? container.createdAt_ms).toISOString(),
      cpu: cpuOf(isoTime(stats), stats.cpuUsage_ns, cores.get(container.id)),
      memory: memoryOf(stats),
      ...(stats.fsUsed_bytes === undefined ? {} : { rootfs: { time: isoTime(stats), usedBytes: stats.fsUsed_bytes } }),
      ...(stats.cgroup ? { swap: { time: isoTime(stats), swapUsageBytes: stats.cgroup.swap_bytes } } : {}),
    })),
    cpu: cpuOf(
      time,
      sum(containers, ({ stats }) => stats.cpuUsage_ns),
      known ? sum(rates, (rate) => rate ?? 0) : undefined,
    ),
    memory: {
      time,
      usageBytes: sum(containers, ({ stats }) => stats.memoryUsage_bytes),
      workingSetBytes: sum(containers, ({ stats }) => stats.memoryWorkingSet_bytes),
      rssBytes: sum(containers, ({ stats }) => stats.memoryRss_bytes),
    },
    ...networkOf(pod, containers, time),
    "ephemeral-storage": { time, usedBytes: sum(containers, ({ stats }) => stats.fsUsed_bytes ?? 0) },
    process_stats: { process_count: sum(containers, ({ stats }) => stats.cgroup?.processes ?? 0) },
  };
}

function volumesOf(volumes: readonly VolumeStats[]): object {
  if (volumes.length === 0) return {};
  const now_ms = Date.now();
  const monotonic_ms = performance.now();
  return {
    volume: volumes.map(({ name, claim, measured_ms, usage }) => ({
      time: new Date(now_ms - (monotonic_ms - measured_ms)).toISOString(),
      availableBytes: usage.available_bytes,
      capacityBytes: usage.capacity_bytes,
      usedBytes: usage.used_bytes,
      inodesFree: usage.inodesFree,
      inodes: usage.inodes,
      inodesUsed: usage.inodesUsed,
      name,
      ...(claim ? { pvcRef: claim } : {}),
      ...(usage.condition ? { volumeHealthStats: { abnormal: usage.condition.abnormal } } : {}),
    })),
  };
}

/** All containers of a pod share its network; a pod in the board's has no counters of its own. */
function networkOf(pod: PodStats["pod"], containers: PodStats["containers"], time: string): object {
  const stats = containers.find(({ stats }) => (stats.interfaces?.length ?? 0) > 0)?.stats;
  if (pod.spec.hostNetwork || !stats) return {};
  return { network: network(stats.interfaces ?? [], time) };
}

function network(interfaces: readonly InterfaceCounters[], time: string): object {
  const counted = interfaces.map((each) => ({
    name: each.name,
    rxBytes: each.received_bytes,
    rxErrors: each.receiveErrors,
    txBytes: each.sent_bytes,
    txErrors: each.sendErrors,
  }));
  const main = counted.find(({ name }) => name === "eth0") ?? counted[0];
  return { time, ...main, interfaces: counted };
}

function cpuOf(time: string, total_ns: number, rate: number | undefined): object {
  return { time, ...(rate === undefined ? {} : { usageNanoCores: rate }), usageCoreNanoSeconds: total_ns };
}

const isoTime = (stats: ContainerStats): string => new Date(stats.timestamp_ms).toISOString();

function memoryOf(stats: ContainerStats): object {
  return {
    time: isoTime(stats),
    usageBytes: stats.memoryUsage_bytes,
    workingSetBytes: stats.memoryWorkingSet_bytes,
    rssBytes: stats.memoryRss_bytes,
    ...(stats.cgroup ? { pageFaults: stats.cgroup.pageFaults, majorPageFaults: stats.cgroup.majorPageFaults } : {}),
  };
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

function bootTime(): string {
  const uptime_s = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  return new Date(Date.now() - uptime_s * 1000).toISOString();
}

function nodeStats(usage: BoardUsage, time: string, rate: number | undefined): object {
  const { filesystem, interfaces } = usage;
  const main = interfaces[0];
  return {
    cpu: cpuOf(time, usage.cpu_ns, rate),
    memory: {
      time,
      availableBytes: usage.memoryAvailable_bytes,
      usageBytes: usage.memoryUsed_bytes,
      workingSetBytes: usage.memoryUsed_bytes,
    },
    fs: {
      time,
      capacityBytes: filesystem.capacity_bytes,
      usedBytes: filesystem.used_bytes,
      availableBytes: filesystem.available_bytes,
    },
    network: {
      time,
      name: main?.name ?? "",
      rxBytes: main?.received_bytes ?? 0,
      txBytes: main?.sent_bytes ?? 0,
      interfaces: interfaces.map(({ name, received_bytes, sent_bytes }) => ({
        name,
        rxBytes: received_bytes,
        txBytes: sent_bytes,
      })),
    },
  };
}
