import type { Host } from "#agent/host/host.ts";
import type { ContainerRuntime, RuntimeHandler } from "#agent/runtime/runtime.ts";
import type { Pod, Service } from "#shared/api/types/core-v1.generated.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { Log } from "#shared/client/log.ts";
import type { BackOff } from "./back-off.ts";
import type { PodCgroups } from "./cgroups/pod-cgroups.ts";
import type { ResourceRules } from "./container/container-resources.ts";
import type { ClusterDns, DnsConfig } from "./container/pod-dns.ts";
import type { CpuManager } from "./cpus/cpu-manager.ts";
import type { DeviceManager } from "./devices/device-manager.ts";
import type { ImagePuller } from "./images/image-puller.ts";
import type { Limiter } from "./limiter.ts";
import type { ObjectCache } from "./object-cache.ts";
import type { ClaimLoader } from "./plugins/board-plugins.ts";
import type { PodAdmitter } from "./pod-admitter.ts";
import type { PodCounts } from "./pod-counts.ts";
import type { PodLogs } from "./pod-logs.ts";
import type { ResourceList } from "./pod-qos.ts";
import type { PodWorkTimes } from "./pod-work-times.ts";
import type { ProbeManager } from "./probes/probe-manager.ts";
import type { StatusWriter } from "./status/status-writer.ts";
import type { VolumeManager } from "./volumes/volume-manager.ts";
import type { VolumeStatsReader } from "./volumes/volume-stats.ts";

/** What all pod workers of a board share. */
export interface KubeletParts {
  readonly runtime: ContainerRuntime;
  readonly runtimeName: string;
  readonly host: Host;
  readonly objects: ObjectCache;
  /** Control groups of the pods; none when absent. */
  readonly cgroups: PodCgroups | undefined;
  readonly volumes: VolumeManager;
  readonly volumeStats: VolumeStatsReader;
  /** Devices that containers are given; none when absent. */
  readonly devices: DeviceManager | undefined;
  /** CPUs of containers' own; undefined: all run on all. */
  readonly cpus: CpuManager | undefined;
  /** ResourceClaims of pods; none when absent. */
  readonly claims: ClaimLoader | undefined;
  readonly logs: PodLogs;
  readonly images: ImagePuller;
  readonly probes: ProbeManager;
  readonly workTimes: PodWorkTimes;
  readonly counts: PodCounts;
  readonly statuses: StatusWriter;
  readonly recorder: EventRecorder;
  readonly backOff: BackOff;
  /** Bounds what is created at once. */
  readonly creations: Limiter;
  readonly log: Log;
  readonly clusterDns: ClusterDns;
  readonly seccompRoot: string;
  readonly seccompDefault: boolean;
  readonly startedAt_ms: number;
  hostIPs(): readonly string[];
  allocatable(): ResourceList;
  readonly resourceRules: ResourceRules;
  /** Undefined until Services have been read once. */
  services(): readonly Service[] | undefined;
  /** The board's own resolver settings as they are now. Rejects when they cannot be read. */
  hostDns(): Promise<DnsConfig>;
  /** What keeps pods from having a network; undefined: nothing that is known. */
  networkTrouble(): string | undefined;
  now_ms(): number;
  /** The runtime's handler for the pod's RuntimeClass. Rejects when there is no such class, or it cannot do what the pod
   *  must have. */
  runtimeHandler(pod: Pod): Promise<RuntimeHandler>;
  /** Can what is mounted below a read-only mount be made read-only, by the runtime's default handler? */
  recursiveReadOnly(): boolean;
  /** May pods run on this board, and have what they ask for, beside those that do? */
  readonly admitter: Pick<PodAdmitter, "admit" | "refuseResize">;
  /** The pod was granted other resources, or all of it has stopped: others may wait for what it held. */
  onFreed(podUid: string): void;
  /** The pod has been gone from this board and the API: its worker may be dropped. */
  onGone(podUid: string): void;
}
