import { uptime } from "node:os";
import type { ContainerStats } from "../../runtime/runtime.ts";
import type { CgroupUsage } from "../../telemetry/cgroup-usage.ts";
import type { NodeFigures } from "../../telemetry/node-figures.ts";
import type { PodStats } from "../kubelet.ts";
import { podUid } from "../pod-containers.ts";
import type { VolumeStats } from "../volumes/volume-stats.ts";
import type { CpuRates } from "./cpu-rates.ts";
import {
  cpuField,
  fsField,
  headroomOf,
  ioField,
  type MemoryFigures,
  memoryField,
  memoryOfGroup,
  networkField,
} from "./summary-fields.ts";
import type { StorageInput, SummaryInput } from "./summary-input.ts";

type Rates = ReadonlyMap<string, number>;
type Running = PodStats["containers"][number];

/** What a rate is kept under: a container's id, and these. */
const ofNode = "";
const ofPods = "pods";
const ofAgent = "kubelet";

/** The kubelet's stats/v1alpha1 Summary of the board and its pods. `rates` remembers the counters of the last one. */
export function statsSummary(input: SummaryInput, rates: CpuRates): object {
  const { node, pods, groups, agent, storage } = input;
  const time = new Date(node.at_ms).toISOString();
  const now = (cpu_ns: number) => ({ at_ms: node.at_ms, cpu_ns });
  const cores = rates.update(
    new Map([
      [ofNode, now(node.cpu_ns)],
      ...(groups?.all ? [[ofPods, now(groups.all.cpu_ns)] as const] : []),
      ...(agent ? [[ofAgent, now(agent.cpu_ns)] as const] : []),
      ...[...(groups?.pods ?? [])].map(([uid, { cpu_ns }]) => [uid, now(cpu_ns)] as const),
      ...pods.flatMap(({ containers }) =>
        containers.map(
          ({ container, stats }) => [container.id, { at_ms: stats.timestamp_ms, cpu_ns: stats.cpuUsage_ns }] as const,
        ),
      ),
    ]),
  );
  return {
    node: { ...nodeSummary(input, time, cores), ...(storage ? nodeStorage(storage, node, time) : {}) },
    pods: pods.map((pod) => {
      const group = groups?.pods.get(podUid(pod.pod));
      return {
        ...podSummary(pod, group, time, cores, storage),
        ...(storage ? podStorage(pod, group, time, storage) : {}),
      };
    }),
  };
}

function nodeSummary({ nodeName, node, groups, agent }: SummaryInput, time: string, cores: Rates): object {
  const bootTime = new Date(Date.now() - uptime() * 1000).toISOString();
  const agentStart = new Date(performance.timeOrigin).toISOString();
  const swap = { time, swapAvailableBytes: node.swap.available_bytes, swapUsageBytes: node.swap.used_bytes };
  return {
    nodeName,
    systemContainers: [
      ...(agent ? [systemContainer("kubelet", agentStart, agent, time, cores.get(ofAgent))] : []),
      ...(groups?.all ? [systemContainer("pods", bootTime, groups.all, time, cores.get(ofPods))] : []),
    ],
    startTime: bootTime,
    cpu: cpuField(time, node.cpu_ns, cores.get(ofNode), node.stalls),
    memory: memoryField(time, node.memory, node.stalls),
    swap,
  };
}

function systemContainer(
  name: string,
  startTime: string,
  group: CgroupUsage,
  time: string,
  rate: number | undefined,
): object {
  return {
    name,
    startTime,
    cpu: cpuField(time, group.cpu_ns, rate, group.stalls),
    memory: memoryField(time, memoryOfGroup(group), group.stalls),
    ...ioField(time, group.stalls),
    swap: { time, swapUsageBytes: group.swap_bytes },
  };
}

/** What only the whole summary has. */
function nodeStorage({ filesystem, imageFilesystem }: StorageInput, node: NodeFigures, time: string): object {
  // Neither runtime tells cheaply what of the file system its images take up.
  const runtimeFs = imageFilesystem && fsField(time, imageFilesystem, {});
  return {
    ...ioField(time, node.stalls),
    network: networkField(node.interfaces, time),
    fs: fsField(time, filesystem, "all"),
    ...(runtimeFs ? { runtime: { imageFs: runtimeFs, containerFs: runtimeFs } } : {}),
    rlimit: { time, maxpid: node.tasks.most, curproc: node.tasks.present },
  };
}

function podSummary(
  { pod, containers }: PodStats,
  group: CgroupUsage | undefined,
  time: string,
  cores: Rates,
  storage: StorageInput | undefined,
): object {
  const rates = containers.map(({ container }) => cores.get(container.id));
  const known = containers.length > 0 && rates.every((rate) => rate !== undefined);
  const ofContainers = known ? sum(rates, (rate) => rate ?? 0) : undefined;
  return {
    podRef: { name: pod.metadata.name, namespace: pod.metadata.namespace, uid: pod.metadata.uid },
    startTime: pod.status?.startTime ?? null,
    containers: containers.map((each) => containerSummary(each, cores.get(each.container.id), storage)),
    cpu: group
      ? cpuField(time, group.cpu_ns, cores.get(podUid(pod)), group.stalls)
      : cpuField(
          time,
          sum(containers, ({ stats }) => stats.cpuUsage_ns),
          ofContainers,
        ),
    memory: memoryField(time, group ? memoryOfGroup(group) : memoryTogether(containers), group?.stalls),
    ...swapTogether(containers, group, time),
  };
}

function swapTogether(containers: readonly Running[], group: CgroupUsage | undefined, time: string): object {
  if (group) return { swap: { time, swapUsageBytes: group.swap_bytes } };
  if (!containers.some(({ stats }) => stats.cgroup)) return {};
  return { swap: { time, swapUsageBytes: sum(containers, ({ stats }) => stats.cgroup?.swap_bytes ?? 0) } };
}

const memoryTogether = (containers: readonly Running[]): MemoryFigures => ({
  usage_bytes: sum(containers, ({ stats }) => stats.memoryUsage_bytes),
  workingSet_bytes: sum(containers, ({ stats }) => stats.memoryWorkingSet_bytes),
  rss_bytes: sum(containers, ({ stats }) => stats.memoryRss_bytes),
});

function containerSummary(
  { container, stats }: Running,
  rate: number | undefined,
  storage: StorageInput | undefined,
): object {
  const time = new Date(stats.timestamp_ms).toISOString();
  const { cgroup } = stats;
  return {
    name: container.name,
    startTime: new Date(container.startedAt_ms ?? container.createdAt_ms).toISOString(),
    cpu: cpuField(time, stats.cpuUsage_ns, rate, cgroup?.stalls),
    memory: memoryField(time, memoryOf(stats), cgroup?.stalls),
    ...(cgroup ? { swap: { time, swapUsageBytes: cgroup.swap_bytes } } : {}),
    ...(storage ? containerStorage(container.id, stats, time, storage) : {}),
  };
}

function containerStorage(id: string, { cgroup, fsUsed_bytes }: ContainerStats, time: string, storage: StorageInput) {
  const log = storage.logs.get(id);
  const logUsed = log && { used_bytes: log.size_bytes, inodesUsed: log.inodes };
  return {
    ...ioField(time, cgroup?.stalls),
    ...(fsUsed_bytes === undefined
      ? {}
      : { rootfs: fsField(time, storage.imageFilesystem, { used_bytes: fsUsed_bytes }) }),
    ...(logUsed ? { logs: fsField(time, storage.filesystem, logUsed) } : {}),
  };
}

function memoryOf(stats: ContainerStats): MemoryFigures {
  const { cgroup } = stats;
  return {
    usage_bytes: stats.memoryUsage_bytes,
    workingSet_bytes: stats.memoryWorkingSet_bytes,
    rss_bytes: stats.memoryRss_bytes,
    ...(cgroup
      ? {
          pageFaults: cgroup.pageFaults,
          majorPageFaults: cgroup.majorPageFaults,
          available_bytes: headroomOf(cgroup),
        }
      : {}),
  };
}

function podStorage(pod: PodStats, group: CgroupUsage | undefined, time: string, storage: StorageInput): object {
  const { containers } = pod;
  const volumes = storage.volumes.get(podUid(pod.pod)) ?? [];
  const ephemeral = volumes.filter(({ isEphemeral }) => isEphemeral);
  const logs = containers.map(({ container }) => storage.logs.get(container.id));
  const used_bytes =
    sum(containers, ({ stats }) => stats.fsUsed_bytes ?? 0) +
    sum(logs, (log) => log?.size_bytes ?? 0) +
    sum(ephemeral, ({ usage }) => usage.used_bytes ?? 0);
  const inodesUsed = sum(logs, (log) => log?.inodes ?? 0) + sum(ephemeral, ({ usage }) => usage.inodesUsed ?? 0);
  const counted = containers.flatMap(({ stats }) => stats.cgroup ?? []);
  return {
    ...ioField(time, group?.stalls),
    ...networkOf(pod, time),
    ...(volumes.length > 0 ? { volume: volumes.map(volumeField) } : {}),
    "ephemeral-storage": fsField(time, storage.filesystem, { used_bytes, inodesUsed }),
    ...(counted.length > 0 ? { process_stats: { process_count: sum(counted, ({ processes }) => processes) } } : {}),
  };
}

function volumeField({ name, claim, measured_ms, usage }: VolumeStats): object {
  return {
    time: new Date(Date.now() - (performance.now() - measured_ms)).toISOString(),
    availableBytes: usage.available_bytes,
    capacityBytes: usage.capacity_bytes,
    usedBytes: usage.used_bytes,
    inodesFree: usage.inodesFree,
    inodes: usage.inodes,
    inodesUsed: usage.inodesUsed,
    name,
    ...(claim ? { pvcRef: claim } : {}),
    ...(usage.condition ? { volumeHealthStats: { abnormal: usage.condition.abnormal } } : {}),
  };
}

/** All containers of a pod share its network; a pod in the board's has no counters of its own. */
function networkOf({ pod, containers }: PodStats, time: string): object {
  const stats = containers.find(({ stats }) => (stats.interfaces?.length ?? 0) > 0)?.stats;
  if (pod.spec.hostNetwork || !stats) return {};
  return { network: networkField(stats.interfaces ?? [], time) };
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
