import type { FilesystemStats } from "../../host/host.ts";
import { type CgroupUsage, cgroupFolders, isTopmost, readCgroupUsage } from "../../telemetry/cgroup-usage.ts";
import { type NodeFigures, readNodeFigures } from "../../telemetry/node-figures.ts";
import type { GroupUsage } from "../cgroups/pod-cgroups.ts";
import type { Kubelet, PodStats } from "../kubelet.ts";
import { logUsage } from "../log-usage.ts";
import type { FolderUsage } from "../volumes/folder-size.ts";
import type { VolumeStats } from "../volumes/volume-stats.ts";

/** What a summary is made of: measured when somebody asks, never on a timer. */
export interface SummaryInput {
  readonly nodeName: string;
  readonly node: NodeFigures;
  readonly pods: readonly PodStats[];
  readonly groups: GroupUsage | undefined;
  /** Of the control group that the agent runs in, where that is not the whole board's. */
  readonly agent: CgroupUsage | undefined;
  /** Absent when nobody asked for it: it costs a walk over folders and layers. */
  readonly storage?: StorageInput | undefined;
}

export interface StorageInput {
  /** That holds the kubelet's data. */
  readonly filesystem: FilesystemStats;
  /** That holds images and the layers of containers; undefined before the runtime has told where it is. */
  readonly imageFilesystem: FilesystemStats | undefined;
  /** By UID of the pod. */
  readonly volumes: ReadonlyMap<string, readonly VolumeStats[]>;
  /** By id of the container; one whose runtime writes no file has none. */
  readonly logs: ReadonlyMap<string, FolderUsage>;
}

/** Measures now. @param what CPU and memory alone cost no walk over folders and layers. */
export async function summaryInput(kubelet: Kubelet, what: "all" | "CPU and memory"): Promise<SummaryInput> {
  const layerSize = what === "all" ? "measured" : "skipped";
  const [node, pods, groups, agent] = await Promise.all([
    readNodeFigures(),
    kubelet.podStats({ layerSize }),
    kubelet.groupUsage(),
    agentUsage(),
  ]);
  const storage = what === "all" ? await storageInput(kubelet, pods) : undefined;
  return { nodeName: kubelet.options.nodeName, node, pods, groups, agent, storage };
}

async function agentUsage(): Promise<CgroupUsage | undefined> {
  const folders = await cgroupFolders(process.pid);
  return folders && !isTopmost(folders) ? readCgroupUsage(folders) : undefined;
}

async function storageInput(kubelet: Kubelet, pods: readonly PodStats[]): Promise<StorageInput> {
  const { host, dataDir } = kubelet.options;
  const containers = pods.flatMap((pod) => pod.containers.map(({ container }) => container));
  const [filesystem, imageFilesystem, volumes, logs] = await Promise.all([
    host.statfs(dataDir),
    kubelet.imageFolder === undefined ? undefined : host.statfs(kubelet.imageFolder).catch(() => undefined),
    kubelet.volumeStats(),
    Promise.all(
      containers.flatMap(({ id, logPath }) =>
        logPath ? [logUsage(logPath).then((usage) => [id, usage] as const)] : [],
      ),
    ),
  ]);
  return { filesystem, imageFilesystem, volumes, logs: new Map(logs) };
}
