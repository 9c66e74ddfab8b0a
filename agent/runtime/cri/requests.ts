import { join } from "node:path";
import type {
  ContainerConfig,
  ContainerResources,
  ContainerSecurity,
  ContainerStatus,
  PodIdentity,
  SandboxConfig,
  SandboxStatus,
} from "../runtime.ts";
import type * as wire from "./messages.ts";
import { type NamespaceOption, namespaceMode, type Resources, securityProfile } from "./messages.ts";

/** Labels that every kubelet sets, so that crictl and others understand them. */
export const label = {
  podName: "io.kubernetes.pod.name",
  podNamespace: "io.kubernetes.pod.namespace",
  podUid: "io.kubernetes.pod.uid",
  containerName: "io.kubernetes.container.name",
} as const;

/** Ours, at a sandbox: CRI does not give it back, and containers need it. */
const cgroupParentNote = "bramble.sandbox.cgroup-parent";

const propagations = { private: 0, rslave: 1, rshared: 2 } as const;
const protocols = { TCP: 0, UDP: 1, SCTP: 2 } as const;

/** What upstream's kubelet hides of /proc and /sys where a pod does not ask for it. */
const maskedPaths = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];
const readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/** Where a pod's logs lie, as log collectors expect. */
export const logFolder = (root: string, { namespace, name, uid }: PodIdentity): string =>
  join(root, `${namespace}_${name}_${uid}`);

export function sandboxRequest(config: SandboxConfig, logRoot: string): wire.SandboxConfig {
  const isHost = config.network === "host";
  return {
    metadata: { ...config.pod, attempt: config.attempt },
    hostname: isHost ? "" : config.hostname,
    logDirectory: logFolder(logRoot, config.pod),
    dnsConfig: config.dns,
    portMappings: config.portMappings.map(({ protocol, containerPort, hostPort, hostIP = "" }) => ({
      protocol: protocols[protocol],
      containerPort,
      hostPort,
      hostIp: hostIP,
    })),
    labels: podLabels(config.labels, config.pod),
    annotations: {
      ...config.annotations,
      ...(config.cgroupParent ? { [cgroupParentNote]: config.cgroupParent } : {}),
    },
    linux: {
      cgroupParent: config.cgroupParent ?? "",
      securityContext: {
        namespaceOptions: {
          network: isHost ? namespaceMode.node : namespaceMode.pod,
          pid: config.hostPID
            ? namespaceMode.node
            : config.shareProcessNamespace
              ? namespaceMode.pod
              : namespaceMode.container,
          ipc: config.hostIPC ? namespaceMode.node : namespaceMode.pod,
          targetId: "",
        },
        seccomp: { profileType: securityProfile.runtimeDefault, localhostRef: "" },
      },
      sysctls: config.sysctls,
    },
  };
}

/** A sandbox's request as containers of it have to repeat it, from what the runtime shows of the sandbox. */
export function sandboxAgain(status: wire.SandboxStatus, logRoot: string): wire.SandboxConfig {
  const { metadata, labels, annotations, linux } = status;
  return {
    metadata,
    hostname: "",
    logDirectory: logFolder(logRoot, podOf(labels)),
    dnsConfig: undefined,
    portMappings: [],
    labels,
    annotations,
    linux: {
      cgroupParent: annotations[cgroupParentNote] ?? "",
      securityContext: { namespaceOptions: linux?.namespaces?.options, seccomp: undefined },
      sysctls: {},
    },
  };
}

export function containerRequest(config: ContainerConfig, namespaces: NamespaceOption): wire.ContainerConfig {
  const { security } = config;
  return {
    metadata: { name: config.name, attempt: config.attempt },
    image: { image: config.image, userSpecifiedImage: config.image },
    command: config.command ?? [],
    args: config.args ?? [],
    workingDir: config.workingDir ?? "",
    envs: config.env.map(({ name, value }) => ({ key: name, value })),
    mounts: config.mounts.map(({ hostPath, containerPath, readOnly, propagation, recursiveReadOnly = false }) => ({
      hostPath,
      containerPath,
      readonly: readOnly,
      propagation: propagations[propagation],
      recursiveReadOnly,
    })),
    devices: config.devices,
    cdiDevices: (config.cdiDevices ?? []).map((name) => ({ name })),
    labels: { ...podLabels(config.labels, config.pod), [label.containerName]: config.name },
    annotations: config.annotations,
    logPath: join(config.name, `${config.attempt}.log`),
    stdin: config.stdin,
    stdinOnce: config.stdinOnce,
    tty: config.tty,
    linux: {
      resources: resources(config.resources),
      securityContext: {
        capabilities: { add: security.addCapabilities, drop: security.dropCapabilities },
        privileged: security.privileged,
        namespaceOptions:
          config.pidTargetContainerId === undefined
            ? namespaces
            : { ...namespaces, pid: namespaceMode.target, targetId: config.pidTargetContainerId },
        ...user(security),
        readonlyRootfs: security.readOnlyRootFilesystem,
        supplementalGroups: security.supplementalGroups,
        noNewPrivs: security.noNewPrivileges,
        maskedPaths: security.maskedPaths === "unmasked" ? [] : maskedPaths,
        readonlyPaths: security.maskedPaths === "unmasked" ? [] : readonlyPaths,
        // Without one: unconfined for seccomp, what the runtime does by itself for AppArmor, as with upstream's kubelet.
        seccomp: profile(security.seccomp ?? "unconfined"),
        apparmor: security.apparmor ? profile(security.apparmor) : undefined,
      },
    },
    stopSignal: signalNumber(config.stopSignal),
  };
}

export function resources(given: ContainerResources): Resources {
  return {
    cpuShares: given.cpuShares ?? 0,
    cpuQuota: given.cpuQuota_us ?? 0,
    cpuPeriod: given.cpuPeriod_us ?? 0,
    memoryLimit: given.memoryLimit_bytes ?? 0,
    oomScoreAdj: given.oomScoreAdj ?? 0,
    cpusetCpus: given.cpuset ?? "",
    hugepageLimits: Object.entries(given.hugepageLimits ?? {}).map(([pageSize, limit]) => ({ pageSize, limit })),
    unified: given.unified ?? {},
  };
}

export const podOf = (labels: Readonly<Record<string, string>>): PodIdentity => ({
  uid: labels[label.podUid] ?? "",
  namespace: labels[label.podNamespace] ?? "",
  name: labels[label.podName] ?? "",
});

/** What a caller gave as annotations. */
function ownAnnotations(all: Readonly<Record<string, string>>): Record<string, string> {
  const { [cgroupParentNote]: _, ...rest } = all;
  return rest;
}

export function sandboxStatus(status: wire.SandboxStatus, pid: number): SandboxStatus {
  const { metadata, network, labels } = status;
  const isReady = status.state === 0;
  const isHost = status.linux?.namespaces?.options?.network === namespaceMode.node;
  const ips = [network?.ip ?? "", ...(network?.additionalIps ?? []).map(({ ip }) => ip)].filter(Boolean);
  return {
    id: status.id,
    pod: podOf(labels),
    attempt: metadata?.attempt ?? 0,
    state: isReady ? "ready" : "not-ready",
    createdAt_ms: milliseconds(status.createdAt) ?? 0,
    ips: isReady && !isHost ? ips : [],
    pid,
    labels: { ...labels },
    annotations: ownAnnotations(status.annotations),
  };
}

const states = ["created", "running", "exited", "unknown"] as const;

export function containerStatus(
  listed: wire.Container,
  status: wire.ContainerStatus | undefined,
  pid: number,
): ContainerStatus {
  const { labels, annotations, metadata } = listed;
  const state = states[status?.state ?? listed.state] ?? "unknown";
  const hasEnded = state === "exited";
  const began_ms = milliseconds(status?.startedAt);
  // Of a short life containerd notes the beginning after the end.
  const ended_ms = hasEnded ? milliseconds(status?.finishedAt) : undefined;
  return {
    id: listed.id,
    sandboxId: listed.sandboxId,
    pod: podOf(labels),
    name: metadata?.name ?? "",
    attempt: metadata?.attempt ?? 0,
    state,
    createdAt_ms: milliseconds(status?.createdAt ?? listed.createdAt) ?? 0,
    startedAt_ms: began_ms !== undefined && ended_ms !== undefined ? Math.min(began_ms, ended_ms) : began_ms,
    finishedAt_ms: ended_ms,
    exitCode: hasEnded ? status?.exitCode : undefined,
    signal: undefined,
    oomKilled: status?.reason === "OOMKilled",
    error: status?.message ? status.message : undefined,
    image: status?.image?.userSpecifiedImage || status?.image?.image || "",
    imageId: status?.imageRef ?? "",
    pid: state === "running" ? pid : 0,
    logPath: status?.logPath || undefined,
    labels: { ...labels },
    annotations: { ...annotations },
  };
}

/** CRI counts in nanoseconds; 0 is never. */
const milliseconds = (time_ns: number | undefined): number | undefined => (time_ns ? time_ns / 1e6 : undefined);

const podLabels = (labels: Readonly<Record<string, string>>, pod: PodIdentity): Record<string, string> => ({
  ...labels,
  [label.podName]: pod.name,
  [label.podNamespace]: pod.namespace,
  [label.podUid]: pod.uid,
});

/** A group alone is for root, as Docker has it; runtimes refuse a group without a user. */
function user({ runAsUser, runAsUserName = "", runAsGroup }: ContainerSecurity) {
  const needsUser = runAsGroup !== undefined && runAsUserName === "";
  const uid = runAsUser ?? (needsUser ? 0 : undefined);
  return {
    runAsUser: uid === undefined ? undefined : { value: uid },
    runAsUsername: uid === undefined ? runAsUserName : "",
    runAsGroup: runAsGroup === undefined ? undefined : { value: runAsGroup },
  };
}

function profile(name: string): { profileType: number; localhostRef: string } {
  if (name === "unconfined") return { profileType: securityProfile.unconfined, localhostRef: "" };
  if (name === "runtime/default") return { profileType: securityProfile.runtimeDefault, localhostRef: "" };
  return { profileType: securityProfile.localhost, localhostRef: name.replace(/^localhost\//, "") };
}

/** Names of enum Signal in their order; 0: the runtime's own. */
const signals =
  "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN"
    .split(" ")
    .map((name) => `SIG${name}`);

function signalNumber(name: string | undefined): number {
  if (name === undefined) return 0;
  const [, above] = /^SIGRTMIN\+(\d+)$/.exec(name) ?? [];
  if (above !== undefined) return 35 + Number(above);
  const [, below] = /^SIGRTMAX(?:-(\d+))?$/.exec(name) ?? [];
  if (name.startsWith("SIGRTMAX")) return 65 - Number(below ?? 0);
  return signals.indexOf(name) + 1;
}

/** The labels by which what belongs to one pod is found; of all pods without one. */
export function podSelector(podUid: string | undefined): Record<string, string> {
  return podUid === undefined ? {} : { [label.podUid]: podUid };
}
