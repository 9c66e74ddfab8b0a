/** What else a kubelet can be told, under upstream's names: flags where upstream has them, and fields of KubeletConfiguration. */
import { choice, duration, integer, optionalInteger, text, texts, toggle, under } from "./option.ts";
import { tlsOptions } from "./tls-options.ts";

const manyMillions = 1_000_000_000;

const podOptions = under("How pods run:", {
  allowedUnsafeSysctls: texts(
    "allowed-unsafe-sysctls",
    "SYSCTL",
    "sysctls of a pod's own namespaces that it may set beside the safe ones; PREFIX* for all that begin so",
  ),
  seccompDefault: toggle(
    "seccomp-default",
    "containers that name no seccomp profile get the runtime's own instead of none",
    false,
  ),
  crashLoopBackOffMax: duration(
    "crash-loop-back-off-max",
    "longest pause before a container that fails is started again, 1s to 5m (crashLoopBackOff.maxContainerRestartPeriod)",
    "5m",
  ),
  podsPerCore: integer(
    "pods-per-core",
    "N",
    "pods this board takes for each core, --max-pods at most; 0: no matter",
    0,
    {
      min: 0,
      max: 1000,
    },
  ),
  cpuCfsQuota: toggle("cpu-cfs-quota", "hold containers to their CPU limits", true),
  cpuCfsQuotaPeriod: duration(
    "cpu-cfs-quota-period",
    "in which time a CPU limit is counted, 1ms to 1s; another than the default takes --feature-gates CustomCPUCFSQuotaPeriod=true",
    "100ms",
  ),
  swapBehavior: choice(
    "swap-behavior",
    "NoSwap: pods do not swap; LimitedSwap: burstable ones may, by what they request (memorySwap.swapBehavior, version 2 of control groups)",
    ["NoSwap", "LimitedSwap"],
    "NoSwap",
  ),
  failSwapOn: toggle("fail-swap-on", "refuse to run on a board that swaps", false),
  singleProcessOomKill: choice(
    "single-process-oom-kill",
    "when memory runs out in a container, true: the kernel ends one process; false: all of it; auto: as the kernel's control groups are by themselves (a field of KubeletConfiguration)",
    ["auto", "true", "false"],
    "auto",
  ),
  localStorageCapacityIsolation: toggle(
    "local-storage-capacity-isolation",
    "count and limit what pods have on the board's disk",
    true,
  ),
} as const);

const pullOptions = under("Pulling images:", {
  serializeImagePulls: toggle("serialize-image-pulls", "pull one image at a time", false),
  maxParallelImagePulls: integer(
    "max-parallel-image-pulls",
    "N",
    "pull so many at a time; 0: any number (a field of KubeletConfiguration)",
    2,
    { min: 0, max: 1000 },
  ),
  registryQps: integer("registry-qps", "N", "pulls a second that may begin; 0: any number", 5, {
    min: 0,
    max: manyMillions,
  }),
  registryBurst: integer("registry-burst", "N", "and so many at once after a pause", 10, { min: 0, max: manyMillions }),
} as const);

const nodeOptions = under("What a board tells of itself:", {
  nodeStatusUpdateFrequency: duration(
    "node-status-update-frequency",
    "how often the board looks at itself, and tells what has changed",
    "20s",
  ),
  nodeStatusReportFrequency: duration(
    "node-status-report-frequency",
    "how often it tells of itself though nothing has changed (a field of KubeletConfiguration)",
    "30m",
  ),
  nodeStatusMaxImages: integer("node-status-max-images", "N", "images that its Node lists, the largest; -1: all", 50, {
    min: -1,
    max: 1_000_000,
  }),
  providerId: text("provider-id", "ID", "what a cloud knows this board as, for spec.providerID of its Node", ""),
  volumeStatsAggPeriod: duration("volume-stats-agg-period", "how old a measurement of volumes may be", "1m"),
  eventQps: integer("event-qps", "N", "events a second that this board writes; 0: any number", 50, {
    min: 0,
    max: manyMillions,
  }),
  eventBurst: integer("event-burst", "N", "and so many at once after a pause", 100, { min: 0, max: manyMillions }),
} as const);

const serverOptions = under("The kubelet's own server:", {
  ...tlsOptions,
  enableDebuggingHandlers: toggle("enable-debugging-handlers", "serve logs, exec, attach, port-forward and run", true),
  enableSystemLogHandler: toggle(
    "enable-system-log-handler",
    "show the board's /var/log at /logs (a field of KubeletConfiguration)",
    true,
  ),
  streamingConnectionIdleTimeout: duration(
    "streaming-connection-idle-timeout",
    "silence after which exec, attach and port-forward end; 0: never",
    "4h",
  ),
} as const);

const processOptions = under("The kubelet's process:", {
  maxOpenFiles: integer("max-open-files", "N", "files it may have open; 0: as it was started with", 0, {
    min: 0,
    max: manyMillions,
  }),
  oomScoreAdj: optionalInteger(
    "oom-score-adj",
    "N",
    "how readily the kernel ends it when memory runs out, -1000 to 1000 (default: as it was started with)",
    { min: -1000, max: 1000 },
  ),
  protectKernelDefaults: toggle(
    "protect-kernel-defaults",
    "refuse to run where the kernel is not set as a kubelet wants it",
    false,
  ),
  failCgroupV1: toggle(
    "fail-cgroup-v1",
    "refuse to run on a board with version 1 of control groups (a field of KubeletConfiguration)",
    false,
  ),
  runtimeRequestTimeout: duration(
    "runtime-request-timeout",
    "how long the container runtime has for a request, but for long ones as pulls and logs",
    "2m",
  ),
  containerLogMonitorInterval: duration(
    "container-log-monitor-interval",
    "how often logs are looked at where the runtime speaks CRI, 3s or more (a field of KubeletConfiguration)",
    "10s",
  ),
} as const);

export const tuningOptions = {
  ...podOptions,
  ...pullOptions,
  ...nodeOptions,
  ...serverOptions,
  ...processOptions,
} as const;
