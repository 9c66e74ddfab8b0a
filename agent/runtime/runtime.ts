import type { Duplex, Readable } from "node:stream";
import type { CgroupUsage } from "../telemetry/cgroup-usage.ts";
import type { InterfaceCounters } from "../telemetry/interface-counters.ts";

/**
 * What a kubelet needs of a container runtime, at the level of CRI: sandboxes (a pause container with its network
 * namespace), containers in them, images, streams. Docker stands behind it first; every implementation passes the suite
 * in runtime-contract.ts. Ids are the runtime's own. All methods reject with RuntimeError.
 */
export interface ContainerRuntime {
  version(): Promise<RuntimeVersion>;

  createSandbox(config: SandboxConfig): Promise<string>;
  /** Kills what still runs in it. Idempotent. */
  stopSandbox(id: string): Promise<void>;
  removeSandbox(id: string): Promise<void>;
  /** All sandboxes, or one pod's. One call to the runtime. */
  listSandboxes(filter?: { readonly podUid?: string | undefined }): Promise<SandboxStatus[]>;

  createContainer(sandboxId: string, config: ContainerConfig): Promise<string>;
  startContainer(id: string): Promise<void>;
  /** SIGTERM (or the image's stop signal, or `signal`), then SIGKILL after `grace_s`. Resolves when it has ended. */
  stopContainer(id: string, grace_s: number, signal?: string): Promise<void>;
  removeContainer(id: string): Promise<void>;
  /** All containers with a pod label, running or not. One call to the runtime: cheap enough for a resync. */
  listContainers(filter?: { readonly podUid?: string | undefined }): Promise<ContainerStatus[]>;
  updateResources(id: string, resources: ContainerResources): Promise<void>;
  /** Writes a running container's state into an archive. Absent where the runtime has no such thing. `timeout_s` 0: its own. */
  checkpointContainer?(id: string, archive: string, timeout_s: number): Promise<void>;

  /** Runs to the end within `timeout_ms`; the process is killed when it runs out (reported as `timedOut`). Output is
   *  bounded by `maxOutput_bytes` (default 10 KiB). */
  execSync(id: string, command: readonly string[], timeout_ms: number, maxOutput_bytes?: number): Promise<ExecResult>;
  exec(id: string, options: ExecOptions): Promise<ExecSession>;
  /** Joins the main process. Where a runtime can, who gives its input first also gets what it said, if it began just now. */
  attach(id: string, options: AttachOptions): Promise<ExecSession>;
  logs(id: string, options: LogOptions): Promise<Readable>;
  /** A byte stream to 127.0.0.1:port inside the sandbox. */
  portForward(sandboxId: string, port: number): Promise<Duplex>;

  /** Digest or id when present, undefined when not. */
  imageStatus(image: string): Promise<ImageStatus | undefined>;
  /** Resolves with the image id. `progress` gets short lines now and then. */
  pullImage(image: string, auth: ImageAuth | undefined, progress?: (line: string) => void): Promise<string>;
  listImages(): Promise<ImageStatus[]>;
  /** An id, or one name of an image. An image in use is refused; one that is gone is no error. */
  removeImage(id: string): Promise<void>;
  /** Shows the files of an image that is present at a directory of the board, read-only and noexec (KEP-4639). The image
   *  cannot be removed until it is released; the mount is the caller's to take off. */
  mountImage(image: string, target: string, pod: PodIdentity): Promise<void>;
  /** Lets go of the images that were mounted for a pod. */
  releaseImages(podUid: string): Promise<void>;
  /** Reads an archive made by `docker save`. Resolves with the names it brought. */
  loadImage(archive: Readable): Promise<string[]>;

  stats(id: string, options?: StatsOptions): Promise<ContainerStats>;
  /** Container starts, deaths and OOM kills, as a prompt to look again: level-based, so losing one costs a resync only.
   *  The iterable ends when the connection does; the caller opens another. */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>;
}

export interface RuntimeVersion {
  readonly name: string;
  readonly version: string;
  readonly apiVersion: string;
  readonly cgroupDriver: string;
  readonly cgroupVersion: 1 | 2;
  readonly rootDirectory: string;
  /** What a RuntimeClass may name as its handler; the usual one is "". */
  readonly handlers: readonly RuntimeHandler[];
  /** Whether `supplementalGroupsPolicy: Strict` can be had (KEP-3619). */
  readonly supplementalGroupsPolicy: boolean;
}

export interface RuntimeHandler {
  readonly name: string;
  /** Read-only mounts with all that is mounted below (KEP-3857). */
  readonly recursiveReadOnlyMounts: boolean;
  /** `hostUsers: false` (KEP-127). */
  readonly userNamespaces: boolean;
}

export interface PodIdentity {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
}

export interface SandboxConfig {
  readonly pod: PodIdentity;
  readonly attempt: number;
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** `pod`: CNI wires it. `host`: the board's own. */
  readonly network: "pod" | "host";
  readonly hostPID: boolean;
  readonly hostIPC: boolean;
  readonly shareProcessNamespace: boolean;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly portMappings: readonly PortMapping[];
  readonly cgroupParent?: string | undefined;
  /** Becomes /etc/resolv.conf of all its containers. Absent: what Docker makes of the board's. */
  readonly dns?:
    | { readonly servers: readonly string[]; readonly searches: readonly string[]; readonly options: readonly string[] }
    | undefined;
  readonly runtimeHandler?: string | undefined;
}

export interface PortMapping {
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly containerPort: number;
  readonly hostPort: number;
  readonly hostIP?: string | undefined;
}

export interface SandboxStatus {
  readonly id: string;
  readonly pod: PodIdentity;
  readonly attempt: number;
  readonly state: "ready" | "not-ready";
  readonly createdAt_ms: number;
  /** IPv4 first. Empty with host network. */
  readonly ips: readonly string[];
  readonly pid: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ContainerConfig {
  readonly pod: PodIdentity;
  readonly name: string;
  readonly attempt: number;
  readonly image: string;
  /** Overrides the image's entrypoint and command as Kubernetes defines it. */
  readonly command?: readonly string[] | undefined;
  readonly args?: readonly string[] | undefined;
  readonly workingDir?: string | undefined;
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly mounts: readonly Mount[];
  readonly devices: readonly {
    readonly hostPath: string;
    readonly containerPath: string;
    readonly permissions: string;
  }[];
  /** Names of devices by CDI, `vendor.com/class=device`; the runtime knows from its own files what they are. */
  readonly cdiDevices?: readonly string[] | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly tty: boolean;
  readonly resources: ContainerResources;
  readonly security: ContainerSecurity;
  readonly stopSignal?: string | undefined;
  /** The id of a container whose PID namespace is joined (ephemeral containers with a target). */
  readonly pidTargetContainerId?: string | undefined;
}

export interface Mount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
  readonly propagation: "private" | "rslave" | "rshared";
  /** Whether what is mounted below is read-only too; only where the handler can. */
  readonly recursiveReadOnly?: boolean | undefined;
}

export interface ContainerResources {
  readonly cpuShares?: number | undefined;
  readonly cpuQuota_us?: number | undefined;
  readonly cpuPeriod_us?: number | undefined;
  readonly memoryLimit_bytes?: number | undefined;
  readonly oomScoreAdj?: number | undefined;
  /** CPUs that it may run on, as the kernel lists them: `0-3,5`. */
  readonly cpuset?: string | undefined;
  readonly hugepageLimits?: Readonly<Record<string, number>> | undefined;
  /** Files of the container's control group, of version 2, and what they are to hold. */
  readonly unified?: Readonly<Record<string, string>> | undefined;
}

export interface ContainerSecurity {
  readonly privileged: boolean;
  readonly readOnlyRootFilesystem: boolean;
  readonly noNewPrivileges: boolean;
  readonly addCapabilities: readonly string[];
  readonly dropCapabilities: readonly string[];
  readonly runAsUser?: number | undefined;
  readonly runAsUserName?: string | undefined;
  readonly runAsGroup?: number | undefined;
  readonly supplementalGroups: readonly number[];
  /** Path of a profile on the host, `unconfined` (also when absent), or `runtime/default`. */
  readonly seccomp?: string | undefined;
  /** `localhost/NAME` for a profile of the board, `unconfined`, or `runtime/default` (also when absent). */
  readonly apparmor?: string | undefined;
  readonly maskedPaths?: "default" | "unmasked" | undefined;
}

export interface ContainerStatus {
  readonly id: string;
  readonly sandboxId: string;
  readonly pod: PodIdentity;
  readonly name: string;
  readonly attempt: number;
  readonly state: "created" | "running" | "exited" | "unknown";
  readonly createdAt_ms: number;
  readonly startedAt_ms?: number | undefined;
  readonly finishedAt_ms?: number | undefined;
  readonly exitCode?: number | undefined;
  readonly signal?: number | undefined;
  readonly oomKilled: boolean;
  /** Why it could not start, where the runtime said so. */
  readonly error?: string | undefined;
  readonly image: string;
  /** Repo digest where there is one, else the id: status.containerStatuses[].imageID. */
  readonly imageId: string;
  readonly pid: number;
  readonly logPath?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

export interface ExecOptions {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/**
 * Streams of a running process. With a TTY there is no stderr. `exited` gives the exit code once output has ended; of a
 * container's main process 0, as CRI has it: how that ended is in the container's status.
 */
export interface ExecSession {
  readonly stdin: NodeJS.WritableStream | undefined;
  readonly stdout: Readable;
  readonly stderr: Readable | undefined;
  readonly exited: Promise<number>;
  resize(columns: number, rows: number): Promise<void>;
  close(): void;
}

/** One file of a container's log, and how many are kept, the one in use among them. */
export interface LogBounds {
  readonly maxSize_bytes: number;
  readonly maxFiles: number;
}

/** Kubernetes' own. */
export const defaultLogBounds: LogBounds = { maxSize_bytes: 10 * 1024 * 1024, maxFiles: 5 };

export interface LogOptions {
  readonly follow: boolean;
  readonly tailLines?: number | undefined;
  /** Of the log's end: no more than about so much of it is looked through, where the files are read here. */
  readonly tail_bytes?: number | undefined;
  readonly since_ms?: number | undefined;
  readonly timestamps: boolean;
  readonly limit_bytes?: number | undefined;
  readonly stream?: "stdout" | "stderr" | "all" | undefined;
}

export interface ImageStatus {
  readonly id: string;
  readonly tags: readonly string[];
  readonly digests: readonly string[];
  readonly size_bytes: number;
  /** `linux/arm64` and the like. */
  readonly platform: string;
  /** Why no container of it can run on this board, for instance that it is made for another processor. */
  readonly unfit?: string | undefined;
  /** Config.User of the image: numeric id, or a name. */
  readonly user?: { readonly uid: number } | { readonly username: string } | undefined;
  readonly pinned: boolean;
  readonly volumes: readonly string[];
}

export interface ImageAuth {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly identityToken?: string | undefined;
  readonly registryToken?: string | undefined;
  readonly serverAddress?: string | undefined;
}

export interface StatsOptions {
  /** Measuring a layer may cost a walk over it: `skipped` where nobody needs its size. Default: measured. */
  readonly layerSize?: "measured" | "skipped" | undefined;
}

export interface ContainerStats {
  readonly timestamp_ms: number;
  readonly cpuUsage_ns: number;
  readonly memoryWorkingSet_bytes: number;
  readonly memoryUsage_bytes: number;
  readonly memoryRss_bytes: number;
  readonly networkRx_bytes: number;
  readonly networkTx_bytes: number;
  /** By interface of the pod's network, where the kernel's counters can be read. */
  readonly interfaces?: readonly InterfaceCounters[] | undefined;
  /** The container's own layer; undefined: not measured. */
  readonly fsUsed_bytes: number | undefined;
  /** All that the kernel counts, where its control groups can be read. */
  readonly cgroup?: CgroupUsage | undefined;
}

export interface RuntimeEvent {
  readonly kind: "started" | "died" | "oom" | "removed" | "other";
  readonly containerId: string;
  readonly podUid: string | undefined;
}

export type RuntimeErrorKind =
  | "not-found"
  | "image-not-found"
  | "image-unauthorized"
  | "image-wrong-platform"
  | "registry-unreachable"
  | "cannot-start"
  | "network"
  | "unavailable"
  | "other";

export class RuntimeError extends Error {
  override readonly name = "RuntimeError";
  constructor(
    readonly kind: RuntimeErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
