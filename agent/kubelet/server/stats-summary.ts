import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import type { ContainerStats } from "../../runtime/runtime.ts";
import type { PodStats } from "../kubelet.ts";

/** The kubelet's stats/v1alpha1 Summary of the board and its pods. */
export function statsSummary(nodeName: string, pods: readonly PodStats[]): object {
  const now = new Date().toISOString();
  return {
    node: { nodeName, startTime: bootTime(), cpu: nodeCpu(now), memory: nodeMemory(now) },
    pods: pods.map(({ pod, containers }) => ({
      podRef: { name: pod.metadata.name, namespace: pod.metadata.namespace, uid: pod.metadata.uid },
      startTime: pod.status?.startTime ?? null,
      containers: containers.map(({ container, stats }) => ({
        name: container.name,
        startTime: new Date(container.startedAt_ms ?? container.createdAt_ms).toISOString(),
        cpu: { time: isoTime(stats), usageCoreNanoSeconds: stats.cpuUsage_ns },
        memory: memoryOf(stats),
        rootfs: { time: isoTime(stats), usedBytes: stats.fsUsed_bytes },
      })),
      cpu: { time: now, usageCoreNanoSeconds: sum(containers, (each) => each.stats.cpuUsage_ns) },
      memory: {
        time: now,
        usageBytes: sum(containers, (each) => each.stats.memoryUsage_bytes),
        workingSetBytes: sum(containers, (each) => each.stats.memoryWorkingSet_bytes),
        rssBytes: sum(containers, (each) => each.stats.memoryRss_bytes),
      },
      network: {
        time: now,
        name: "eth0",
        rxBytes: sum(containers, (each) => each.stats.networkRx_bytes),
        txBytes: sum(containers, (each) => each.stats.networkTx_bytes),
      },
    })),
  };
}

const isoTime = (stats: ContainerStats): string => new Date(stats.timestamp_ms).toISOString();

function memoryOf(stats: ContainerStats): object {
  return {
    time: isoTime(stats),
    usageBytes: stats.memoryUsage_bytes,
    workingSetBytes: stats.memoryWorkingSet_bytes,
    rssBytes: stats.memoryRss_bytes,
  };
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

function bootTime(): string {
  const uptime_s = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  return new Date(Date.now() - uptime_s * 1000).toISOString();
}

/** CPU time that was not idle, of all cores together, since boot. */
export function nodeCpuUsage_ns(): number {
  const busy_ms = cpus().reduce((total, { times }) => total + times.user + times.nice + times.sys + times.irq, 0);
  return busy_ms * 1_000_000;
}

function nodeCpu(time: string): object {
  return { time, usageCoreNanoSeconds: nodeCpuUsage_ns() };
}

/** Working set is what cannot be reclaimed: total less available, as `free` counts. */
export function nodeMemoryUsage_bytes(): { readonly usage: number; readonly available: number } {
  const text = readFileSync("/proc/meminfo", "utf8");
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0) * 1024;
  return { usage: field("MemTotal") - field("MemAvailable"), available: field("MemAvailable") };
}

function nodeMemory(time: string): object {
  const { usage, available } = nodeMemoryUsage_bytes();
  return { time, availableBytes: available, usageBytes: usage, workingSetBytes: usage };
}
