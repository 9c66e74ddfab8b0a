import type { ContainerCreateOptions, HostConfig, MountSettings } from "dockerode";
import { containerLabels, containerName, label, sandboxLabels, sandboxName } from "./docker-names.ts";
import { pauseImageReference } from "./pause/pause-image.ts";
import type {
  ContainerConfig,
  ContainerResources,
  ContainerSecurity,
  LogBounds,
  Mount,
  SandboxConfig,
} from "./runtime.ts";

/** What only the daemon or the board can say. */
export interface CreateContext {
  readonly logBounds: LogBounds;
  /** False where the daemon may not lower oom_score_adj: negative values become 0. */
  readonly negativeOomScoreAdj: boolean;
  readonly cgroupDriver: string;
  /** Podman behind its Docker-compatible service, which differs in places. */
  readonly isPodman: boolean;
}

/** What a container takes over from its sandbox, read back from Docker. */
export interface SandboxTraits {
  readonly id: string;
  readonly hostNetwork: boolean;
  readonly hostPID: boolean;
  readonly hostIPC: boolean;
  readonly shareProcessNamespace: boolean;
  readonly cgroupParent: string;
}

const sandboxOomScoreAdj = -998;
const sandboxCpuShares = 2;
// Docker runs an image's HEALTHCHECK by itself; probes are the kubelet's.
const noHealthcheck = { Test: ["NONE"] };

/** Docker's request for a sandbox. CNI wires the network afterwards, so the namespace begins empty. */
export function sandboxCreateOptions(config: SandboxConfig, context: CreateContext): ContainerCreateOptions {
  const hostNetwork = config.network === "host";
  return {
    name: sandboxName(config.pod, config.attempt),
    Image: pauseImageReference,
    // With the board's network comes its name; Docker refuses another one.
    ...(hostNetwork ? {} : { Hostname: config.hostname }),
    Labels: sandboxLabels(config, config.shareProcessNamespace),
    HostConfig: defined<HostConfig>({
      NetworkMode: hostNetwork ? "host" : "none",
      UTSMode: hostNetwork ? "host" : undefined,
      PidMode: config.hostPID ? "host" : undefined,
      // "shareable": containers join it for /dev/shm and System V IPC.
      IpcMode: config.hostIPC ? "host" : "shareable",
      Sysctls: { ...config.sysctls },
      CgroupParent: cgroupParent(config.cgroupParent, context.cgroupDriver),
      CpuShares: sandboxCpuShares,
      OomScoreAdj: oomScoreAdj(sandboxOomScoreAdj, context),
      ReadonlyRootfs: true,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      LogConfig: { Type: "none", Config: {} },
      RestartPolicy: { Name: "no" },
      Runtime: config.runtimeHandler === "" ? undefined : config.runtimeHandler,
    }),
  };
}

/** Docker's request for a container in a sandbox. Namespaces are the sandbox's, by `container:ID`. */
export function containerCreateOptions(
  config: ContainerConfig,
  sandbox: SandboxTraits,
  context: CreateContext,
): ContainerCreateOptions {
  const { security } = config;
  return {
    name: containerName(config.pod, config.name, config.attempt),
    Image: config.image,
    Labels: containerLabels(config, config.name, sandbox.id),
    Env: config.env.map(({ name, value }) => `${name}=${value}`),
    OpenStdin: config.stdin,
    StdinOnce: config.stdinOnce,
    Tty: config.tty,
    Healthcheck: noHealthcheck,
    // Docker forgets the image's Cmd when Entrypoint is given, as Kubernetes has it for `command` without `args`.
    ...defined({
      Entrypoint: nonEmpty(config.command),
      Cmd: nonEmpty(config.args),
      WorkingDir: config.workingDir === "" ? undefined : config.workingDir,
      User: user(security),
      StopSignal: config.stopSignal,
    }),
    HostConfig: defined<HostConfig>({
      NetworkMode: sandbox.hostNetwork ? "host" : `container:${sandbox.id}`,
      // Docker gives a container the name of the one whose network it joins; Podman has to be told.
      UTSMode: sandbox.hostNetwork ? "host" : context.isPodman ? `container:${sandbox.id}` : undefined,
      IpcMode: sandbox.hostIPC ? "host" : `container:${sandbox.id}`,
      PidMode: pidMode(config, sandbox),
      CgroupParent: sandbox.cgroupParent === "" ? undefined : sandbox.cgroupParent,
      Mounts: config.mounts.map(mountSettings),
      Devices: config.devices.map(({ hostPath, containerPath, permissions }) => ({
        PathOnHost: hostPath,
        PathInContainer: containerPath,
        CgroupPermissions: permissions,
      })),
      DeviceRequests: config.cdiDevices?.length ? [{ Driver: "cdi", DeviceIDs: [...config.cdiDevices] }] : undefined,
      Privileged: security.privileged,
      ReadonlyRootfs: security.readOnlyRootFilesystem,
      CapAdd: [...security.addCapabilities],
      CapDrop: [...security.dropCapabilities],
      GroupAdd: security.supplementalGroups.map(String),
      SecurityOpt: securityOptions(security),
      OomScoreAdj: oomScoreAdj(config.resources.oomScoreAdj, context),
      ...resourceSettings(config.resources),
      LogConfig: {
        Type: "json-file",
        // Negative is without bound, for Docker too.
        Config: { "max-size": String(context.logBounds.maxSize_bytes), "max-file": String(context.logBounds.maxFiles) },
      },
      RestartPolicy: { Name: "no" },
      ...(security.maskedPaths === "unmasked" ? { MaskedPaths: [], ReadonlyPaths: [] } : {}),
    }),
  };
}

/** The limits that Docker can also change while a container runs. */
export function resourceSettings(resources: ContainerResources): HostConfig {
  return defined<HostConfig>({
    CpuShares: resources.cpuShares,
    CpuQuota: resources.cpuQuota_us,
    CpuPeriod: resources.cpuPeriod_us,
    CpusetCpus: resources.cpuset,
    Memory: resources.memoryLimit_bytes,
    // Equal to Memory means no swap; Docker's own default would be twice the memory.
    MemorySwap: resources.memoryLimit_bytes === undefined ? undefined : resources.memoryLimit_bytes || -1,
  });
}

/** Reads back what containers inherit. */
export function sandboxTraits(id: string, hostConfig: HostConfig, labels: Record<string, string>): SandboxTraits {
  return {
    id,
    hostNetwork: hostConfig.NetworkMode === "host",
    hostPID: hostConfig.PidMode === "host",
    hostIPC: hostConfig.IpcMode === "host",
    shareProcessNamespace: labels[label.pidNamespace] === "pod",
    cgroupParent: hostConfig.CgroupParent ?? "",
  };
}

function pidMode(config: ContainerConfig, sandbox: SandboxTraits): string | undefined {
  if (sandbox.hostPID) return "host";
  if (config.pidTargetContainerId !== undefined) return `container:${config.pidTargetContainerId}`;
  return sandbox.shareProcessNamespace ? `container:${sandbox.id}` : undefined;
}

/** With the systemd driver Docker wants the name of a slice, not its path. */
function cgroupParent(path: string | undefined, driver: string): string | undefined {
  if (path === undefined || path === "") return undefined;
  return driver === "systemd" ? path.slice(path.lastIndexOf("/") + 1) : path;
}

function oomScoreAdj(value: number | undefined, context: CreateContext): number | undefined {
  if (value === undefined || value >= 0 || context.negativeOomScoreAdj) return value;
  return 0;
}

function user({ runAsUser, runAsUserName, runAsGroup }: ContainerSecurity): string | undefined {
  const name = runAsUser !== undefined ? String(runAsUser) : (runAsUserName ?? "");
  if (runAsGroup === undefined) return name === "" ? undefined : name;
  return `${name === "" ? "0" : name}:${runAsGroup}`;
}

function mountSettings(mount: Mount): MountSettings {
  return {
    Type: "bind",
    Source: mount.hostPath,
    Target: mount.containerPath,
    ReadOnly: mount.readOnly,
    BindOptions: {
      // Docker's default is rprivate, but for what its own files lie below (the whole root, say), which it takes as rslave alone.
      ...(mount.propagation === "private" ? {} : { Propagation: mount.propagation }),
      // Docker 25 and later would make everything mounted below read-only too, which Kubernetes does only on
      // request; older ones do not know the field and behave so anyway.
      ...(mount.readOnly ? readOnlyMode(mount.recursiveReadOnly === true) : {}),
    } as MountSettings["BindOptions"],
  };
}

function readOnlyMode(recursive: boolean): object {
  return recursive ? { ReadOnlyForceRecursive: true } : { ReadOnlyNonRecursive: true };
}

/** Neither a seccomp nor an AppArmor profile asked for: for seccomp that is unconfined, as in upstream's kubelet. */
function securityOptions(security: ContainerSecurity): string[] {
  const options: string[] = [];
  if (security.noNewPrivileges) options.push("no-new-privileges");
  const seccomp = security.seccomp ?? "unconfined";
  if (seccomp !== "runtime/default") options.push(`seccomp=${seccomp}`);
  const { apparmor } = security;
  if (apparmor !== undefined && apparmor !== "" && apparmor !== "runtime/default") {
    options.push(`apparmor=${apparmor.replace(/^localhost\//, "")}`);
  }
  return options;
}

function nonEmpty(list: readonly string[] | undefined): string[] | undefined {
  return list === undefined || list.length === 0 ? undefined : [...list];
}

/** Docker reads null and absent differently in places: leave out what is not said. */
function defined<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
