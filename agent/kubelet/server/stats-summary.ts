import { readFileSync } from "node:fs";
import type { ContainerStats } from "../../runtime/runtime.ts";
import type { BoardUsage } from "../../telemetry/usage.ts";
import type { PodStats } from "../kubelet.ts";

/** The kubelet's stats/v1alpha1 Summary of the board and its pods. */
export function statsSummary(nodeName: string, usage: BoardUsage, pods: readonly PodStats[]): object {
  const now = new Date().toISOString();
  return {
    node: { nodeName, startTime: bootTime(), ...nodeStats(usage, now) },
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

function nodeStats(usage: BoardUsage, time: string): object {
  const { filesystem, interfaces } = usage;
  const main = interfaces[0];
  return {
    cpu: { time, usageCoreNanoSeconds: usage.cpu_ns },
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
