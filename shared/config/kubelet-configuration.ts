import {
  booleanTo,
  type ComponentForm,
  durationTo,
  integerTo,
  only,
  pairsTo,
  portTo,
  textsTo,
  textTo,
  unlessZero,
} from "./component-configuration.ts";
import type { Field } from "./field.ts";
import { readHiddenVersion } from "./metric-options.ts";

/** How much is logged: what upstream's kubelet tells from 4 on is told here as debug. */
function logging(field: Field): Record<string, unknown> {
  const { format, verbosity } = field.fields(["format", "flushFrequency", "verbosity", "vmodule", "options"]);
  only(format, (value) => value === "" || value === "text", "what is logged is text: only text is possible");
  if (verbosity.isAbsent || verbosity.integer(0, { min: 0, max: 100 }) < 4) return {};
  return { "log-level": "debug" };
}

function authentication(field: Field): Record<string, unknown> {
  const { x509, webhook, anonymous } = field.fields(["x509", "webhook", "anonymous"]);
  const webhookFields = webhook.fields(["enabled", "cacheTTL"]);
  only(
    webhookFields.enabled,
    (value) => value === true,
    "callers with tokens are always looked up: only true is possible",
  );
  only(
    anonymous.fields(["enabled"]).enabled,
    (value) => value === false,
    "nobody unknown is let in: only false is possible",
  );
  const { clientCAFile } = x509.fields(["clientCAFile"]);
  return clientCAFile.isAbsent ? {} : { "client-ca-file": clientCAFile.text() };
}

function authorization(field: Field): Record<string, unknown> {
  const { mode } = field.fields(["mode", "webhook"]);
  only(mode, (value) => value === "Webhook", "the API server is always asked: only Webhook is possible");
  return {};
}

function taints(field: Field): Record<string, unknown> {
  const texts = field.items().map((item) => {
    const { key, value, effect } = item.fields(["key", "value", "effect", "timeAdded"]);
    return `${key.text()}${value.isAbsent ? "" : `=${value.text()}`}:${effect.text()}`;
  });
  return { "register-with-taints": texts };
}

function shutdownClasses(field: Field): Record<string, unknown> {
  const texts = field.items().map((item) => {
    const { priority, shutdownGracePeriodSeconds } = item.fields(["priority", "shutdownGracePeriodSeconds"]);
    const seconds = shutdownGracePeriodSeconds.integer(0, { min: 0, max: 86_400 });
    return `${priority.integer(0, { min: -2_147_483_648, max: 2_147_483_647 })}=${seconds}`;
  });
  return { "shutdown-grace-period-by-pod-priority": texts };
}

/** KubeletConfiguration (kubelet.config.k8s.io/v1beta1). */
export const kubeletConfiguration: ComponentForm = {
  kind: "KubeletConfiguration",
  apiVersion: "kubelet.config.k8s.io/v1beta1",
  fields: {
    staticPodPath: textTo("pod-manifest-path"),
    podLogsDir: textTo("pod-logs-dir"),
    address: textTo("address"),
    port: portTo("port"),
    tlsCertFile: textTo("tls-cert-file"),
    tlsPrivateKeyFile: textTo("tls-private-key-file"),
    rotateCertificates: booleanTo("rotate-certificates"),
    serverTLSBootstrap: booleanTo("rotate-server-certificates"),
    authentication,
    authorization,
    healthzPort: portTo("healthz-port"),
    healthzBindAddress: textTo("healthz-bind-address"),
    clusterDomain: textTo("cluster-domain"),
    clusterDNS: textsTo("cluster-dns"),
    nodeLeaseDurationSeconds: (field) => ({ "node-lease-duration-seconds": field.integer(40, { min: 4, max: 3600 }) }),
    maxPods: (field) => ({ "max-pods": field.integer(110, { min: 1, max: 1000 }) }),
    resolvConf: textTo("resolv-conf"),
    systemReserved: pairsTo("system-reserved"),
    kubeReserved: pairsTo("kube-reserved"),
    cgroupsPerQOS: (field) => ({ "cgroups-per-qos": field.boolean(true) }),
    cgroupRoot: textTo("cgroup-root"),
    podPidsLimit: (field) => ({ "pod-max-pids": field.integer(-1, { min: -1, max: 4_194_304 }) }),
    kubeReservedCgroup: textTo("kube-reserved-cgroup"),
    systemReservedCgroup: textTo("system-reserved-cgroup"),
    enforceNodeAllocatable: textsTo("enforce-node-allocatable"),
    registerWithTaints: taints,
    imageGCHighThresholdPercent: (field) => ({
      "image-gc-high-threshold": field.integer(85, { min: 0, max: 100 }),
    }),
    imageGCLowThresholdPercent: (field) => ({ "image-gc-low-threshold": field.integer(80, { min: 0, max: 100 }) }),
    imageMinimumGCAge: durationTo("minimum-image-ttl-duration"),
    imageMaximumGCAge: durationTo("image-maximum-gc-age"),
    imagePullCredentialsVerificationPolicy: textTo("image-pull-credentials-verification-policy"),
    preloadedImagesVerificationAllowlist: textsTo("preloaded-images-verification-allowlist"),
    evictionHard: pairsTo("eviction-hard", "<"),
    evictionSoft: pairsTo("eviction-soft", "<"),
    evictionSoftGracePeriod: pairsTo("eviction-soft-grace-period"),
    evictionMinimumReclaim: pairsTo("eviction-minimum-reclaim"),
    evictionMaxPodGracePeriod: (field) => ({
      "eviction-max-pod-grace-period": field.integer(0, { min: 0, max: 86_400 }),
    }),
    evictionPressureTransitionPeriod: durationTo("eviction-pressure-transition-period"),
    mergeDefaultEvictionSettings: booleanTo("merge-default-eviction-settings"),
    allowedUnsafeSysctls: textsTo("allowed-unsafe-sysctls"),
    seccompDefault: booleanTo("seccomp-default"),
    crashLoopBackOff: (field) => {
      const { maxContainerRestartPeriod } = field.fields(["maxContainerRestartPeriod"]);
      return maxContainerRestartPeriod.isAbsent ? {} : { "crash-loop-back-off-max": maxContainerRestartPeriod.text() };
    },
    podsPerCore: integerTo("pods-per-core", 0),
    cpuCFSQuota: booleanTo("cpu-cfs-quota"),
    cpuCFSQuotaPeriod: durationTo("cpu-cfs-quota-period"),
    memorySwap: (field) => {
      const { swapBehavior } = field.fields(["swapBehavior"]);
      return swapBehavior.text() === "" ? {} : { "swap-behavior": swapBehavior.text() };
    },
    failSwapOn: booleanTo("fail-swap-on"),
    singleProcessOOMKill: (field) => ({ "single-process-oom-kill": String(field.boolean(true)) }),
    localStorageCapacityIsolation: booleanTo("local-storage-capacity-isolation"),
    serializeImagePulls: (field) => ({
      "serialize-image-pulls": field.boolean(true),
      // Where they are not serialized, nothing bounds them unless maxParallelImagePulls does.
      "max-parallel-image-pulls": 0,
    }),
    maxParallelImagePulls: integerTo("max-parallel-image-pulls", 1, 1000),
    registryPullQPS: integerTo("registry-qps", 0),
    registryBurst: unlessZero(integerTo("registry-burst", 0)),
    nodeStatusUpdateFrequency: (field) => {
      const every = durationTo("node-status-update-frequency")(field);
      // As upstream: whoever says how often it is looked at has said how often it is told, unless he says that too.
      const text = every["node-status-update-frequency"];
      return text === undefined ? {} : { ...every, "node-status-report-frequency": text };
    },
    nodeStatusReportFrequency: durationTo("node-status-report-frequency"),
    nodeStatusMaxImages: integerTo("node-status-max-images", -1),
    providerID: textTo("provider-id"),
    volumeStatsAggPeriod: durationTo("volume-stats-agg-period"),
    eventRecordQPS: integerTo("event-qps", 0),
    eventBurst: unlessZero(integerTo("event-burst", 0)),
    tlsCipherSuites: textsTo("tls-cipher-suites"),
    tlsMinVersion: textTo("tls-min-version"),
    enableDebuggingHandlers: booleanTo("enable-debugging-handlers"),
    streamingConnectionIdleTimeout: durationTo("streaming-connection-idle-timeout"),
    maxOpenFiles: integerTo("max-open-files", 0),
    oomScoreAdj: integerTo("oom-score-adj", -1000, 1000),
    protectKernelDefaults: booleanTo("protect-kernel-defaults"),
    runtimeRequestTimeout: durationTo("runtime-request-timeout"),
    containerLogMonitorInterval: durationTo("container-log-monitor-interval"),
    featureGates: pairsTo("feature-gates"),
    logging,
    cpuManagerPolicy: textTo("cpu-manager-policy"),
    cpuManagerPolicyOptions: pairsTo("cpu-manager-policy-options"),
    reservedSystemCPUs: textTo("reserved-cpus"),
    memoryManagerPolicy: textTo("memory-manager-policy"),
    topologyManagerPolicy: textTo("topology-manager-policy"),
    topologyManagerScope: textTo("topology-manager-scope"),
    enableServer: (field) => (field.boolean(true) ? {} : { port: 0 }),
    enableSystemLogHandler: booleanTo("enable-system-log-handler"),
    enableControllerAttachDetach: (field) => {
      only(field, (value) => value === true, "volumes are attached by the cluster: only true is possible");
      return {};
    },
    runOnce: (field) => {
      only(field, (value) => value === false, "Runonce mode has been deprecated and should not be set");
      return {};
    },
    // Whichever it is: what pods use is watched while they use it.
    configMapAndSecretChangeDetectionStrategy: (field) => {
      field.choice("Watch", ["Watch", "Cache", "Get"]);
      return {};
    },
    // One is enough: only logs that have grown too long are work.
    containerLogMaxWorkers: (field) => {
      field.integer(1, { min: 1, max: Number.POSITIVE_INFINITY });
      return {};
    },
    failCgroupV1: booleanTo("fail-cgroup-v1"),
    // Asked of the runtime, which has to be of the same mind anyway.
    cgroupDriver: (field) => {
      field.choice("", ["", "cgroupfs", "systemd"]);
      return {};
    },
    shutdownGracePeriod: durationTo("shutdown-grace-period"),
    shutdownGracePeriodCriticalPods: durationTo("shutdown-grace-period-critical-pods"),
    shutdownGracePeriodByPodPriority: shutdownClasses,
    containerRuntimeEndpoint: textTo("container-runtime-endpoint"),
    containerLogMaxSize: textTo("container-log-max-size"),
    containerLogMaxFiles: (field) => ({ "container-log-max-files": field.integer(5, { min: 2, max: 1000 }) }),
    registerNode: (field) => {
      only(field, (value) => value === true, "a board always registers its Node: only true is possible");
      return {};
    },
    // Of the kubelet's metrics none is hidden in this version.
    showHiddenMetricsForVersion: (field) => {
      readHiddenVersion(field.text());
      return {};
    },
    readOnlyPort: (field) => {
      only(field, (value) => value === 0, "there is no port without authentication: only 0 is possible");
      return {};
    },
  },
  others:
    "syncFrequency fileCheckFrequency httpCheckFrequency staticPodURL staticPodURLHeader enableContentionProfiling kubeletCgroups systemCgroups cpuManagerReconcilePeriod topologyManagerPolicyOptions qosReserved hairpinMode podCIDR contentType kubeAPIQPS kubeAPIBurst makeIPTablesUtilChains iptablesMasqueradeBit iptablesDropBit volumePluginDir kernelMemcgNotification enableSystemLogQuery reservedMemory enableProfilingHandler enableDebugFlagsHandler memoryThrottlingFactor tracing imageServiceEndpoint userNamespaces",
};
