/** Upstream's configuration files of kubelet and kube-proxy, as the settings that their fields stand for. */
import { configurationText, readDocument } from "./document.ts";
import { withDropIns } from "./drop-ins.ts";
import type { Field } from "./field.ts";

/** Settings by option name, and fields that have no effect here. */
export interface ComponentConfiguration {
  readonly settings: Readonly<Record<string, unknown>>;
  readonly withoutEffect: readonly string[];
}

export interface ComponentForm {
  readonly kind: string;
  readonly apiVersion: string;
  /** Fields that are read; the reader gives settings for one, none when the field says nothing. */
  readonly fields: Readonly<Record<string, (field: Field) => Record<string, unknown>>>;
  /** What upstream knows besides; those that say nothing (empty, zero) are not worth a word. */
  readonly others: string;
}

/**
 * Throws ConfigError that names everything that is wrong in the file.
 * @param path undefined: all is in the drop-ins
 * @param dropIns folder of files that change some of its fields
 */
export function readComponentConfiguration(
  path: string | undefined,
  form: ComponentForm,
  dropIns?: string,
): ComponentConfiguration {
  const content = dropIns === undefined ? configurationText(path ?? "") : withDropIns(path, dropIns, form);
  const where = [path, dropIns].filter((each) => each !== undefined).join(" with ");
  return readDocument(content, where, form.kind, (root) => decode(root, form));
}

function decode(root: Field, form: ComponentForm): ComponentConfiguration {
  const others = form.others.split(" ");
  const found = root.fields(["apiVersion", "kind", ...Object.keys(form.fields), ...others]);
  found["kind"]?.choice(form.kind, [form.kind]);
  found["apiVersion"]?.choice(form.apiVersion, [form.apiVersion]);
  const settings: Record<string, unknown> = {};
  for (const [name, read] of Object.entries(form.fields)) {
    const field = found[name];
    if (field && !field.isAbsent) Object.assign(settings, read(field));
  }
  return { settings, withoutEffect: others.filter((name) => found[name] && saysSomething(found[name])) };
}

const zero = /^0+(\.0*)?(ns|us|µs|ms|s|m|h)?$/;

/** Whoever writes all fields out leaves zero values in most of them. */
const saysSomething = ({ value }: Field): boolean => isSet(value);

function isSet(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === false) return false;
  if (typeof value === "object") return Object.values(value).some(isSet);
  return !zero.test(String(value));
}

/** An empty text says nothing: upstream's defaults take its place. */
const textTo = (option: string) => (field: Field) => {
  const text = field.text();
  return text === "" ? {} : { [option]: text };
};
/** What a field says, if it says anything. */
const given = (field: Field, read: (field: Field) => Record<string, unknown>): Record<string, unknown> =>
  field.isAbsent ? {} : read(field);
const booleanTo = (option: string) => (field: Field) => ({ [option]: field.boolean(false) });
const integerTo =
  (option: string, min: number, max = Number.MAX_SAFE_INTEGER) =>
  (field: Field) => ({
    [option]: field.integer(min, { min, max }),
  });
const portTo = (option: string) => (field: Field) => ({ [option]: field.integer(0, { min: 0, max: 65_535 }) });
/** A duration of zero says nothing: upstream's defaults take its place. */
const durationTo = (option: string) => (field: Field) => {
  const text = field.text();
  return isSet(text) ? { [option]: text } : {};
};
const textsTo = (option: string) => (field: Field) => ({ [option]: field.items().map((item) => item.text()) });

/** A mapping of names to texts, as the flag writes it. */
function pairsTo(option: string, separator: "=" | "<" = "=") {
  return (field: Field): Record<string, unknown> => {
    const value = field.value;
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return { [option]: Object.entries(value).map(([name, text]) => `${name}${separator}${String(text)}`) };
    field.complain("expected a mapping");
    return {};
  };
}

/** Zero says nothing there: upstream's default takes its place. */
const unlessZero = (read: (field: Field) => Record<string, unknown>) => (field: Field) =>
  field.value === 0 ? {} : read(field);

/** How much is logged: what upstream's kubelet tells from 4 on is told here as debug. */
function logging(field: Field): Record<string, unknown> {
  const { format, verbosity } = field.fields(["format", "flushFrequency", "verbosity", "vmodule", "options"]);
  only(format, (value) => value === "" || value === "text", "what is logged is text: only text is possible");
  if (verbosity.isAbsent || verbosity.integer(0, { min: 0, max: 100 }) < 4) return {};
  return { "log-level": "debug" };
}

/** What stands in a file that asks for something else than is done here is said, rather than not done. */
function only<V>(field: Field, isDone: (value: V) => boolean, why: string): void {
  if (!field.isAbsent && !isDone(field.value as V)) field.complain(why);
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
    readOnlyPort: (field) => {
      only(field, (value) => value === 0, "there is no port without authentication: only 0 is possible");
      return {};
    },
  },
  others:
    "syncFrequency fileCheckFrequency httpCheckFrequency staticPodURL staticPodURLHeader enableContentionProfiling kubeletCgroups systemCgroups cpuManagerReconcilePeriod topologyManagerPolicyOptions qosReserved hairpinMode podCIDR contentType kubeAPIQPS kubeAPIBurst makeIPTablesUtilChains iptablesMasqueradeBit iptablesDropBit showHiddenMetricsForVersion volumePluginDir kernelMemcgNotification enableSystemLogQuery reservedMemory enableProfilingHandler enableDebugFlagsHandler memoryThrottlingFactor tracing imageServiceEndpoint userNamespaces",
};

/** KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1). */
export const kubeProxyConfiguration: ComponentForm = {
  kind: "KubeProxyConfiguration",
  apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
  fields: {
    clientConnection: (field) => {
      const { kubeconfig } = field.fields(["kubeconfig", "acceptContentTypes", "contentType", "qps", "burst"]);
      return kubeconfig.isAbsent ? {} : { kubeconfig: kubeconfig.text() };
    },
    hostnameOverride: textTo("hostname-override"),
    healthzBindAddress: textTo("healthz-bind-address"),
    metricsBindAddress: textTo("metrics-bind-address"),
    mode: (field) => {
      const mode = field.choice("", ["", "iptables", "userspace"]);
      return mode === "" ? {} : { "proxy-mode": mode };
    },
    clusterCIDR: textTo("cluster-cidr"),
    // Where the proxy's own servers listen has flags of its own.
    bindAddress: textTo("bind-address"),
    bindAddressHardFail: booleanTo("bind-address-hard-fail"),
    configSyncPeriod: durationTo("config-sync-period"),
    detectLocalMode: textTo("detect-local-mode"),
    enableProfiling: booleanTo("profiling"),
    nodePortAddresses: textsTo("nodeport-addresses"),
    oomScoreAdj: (field) => ({ "oom-score-adj": field.integer(0, { min: -1000, max: 1000 }) }),
    iptables: (field) => {
      const fields = field.fields([
        "masqueradeBit",
        "masqueradeAll",
        "localhostNodePorts",
        "minSyncPeriod",
        "syncPeriod",
      ]);
      return {
        ...given(fields.masqueradeBit, (one) => ({ "iptables-masquerade-bit": one.integer(14, { min: 0, max: 31 }) })),
        ...given(fields.masqueradeAll, booleanTo("masquerade-all")),
        ...given(fields.localhostNodePorts, booleanTo("iptables-localhost-nodeports")),
        ...given(fields.minSyncPeriod, durationTo("iptables-min-sync-period")),
        ...given(fields.syncPeriod, durationTo("iptables-sync-period")),
      };
    },
    conntrack: (field) => {
      const counts = { min: 0, max: 2_147_483_647 };
      const fields = field.fields([
        ...(["maxPerCore", "min", "tcpEstablishedTimeout", "tcpCloseWaitTimeout"] as const),
        ...(["tcpBeLiberal", "udpTimeout", "udpStreamTimeout"] as const),
      ]);
      return {
        ...given(fields.maxPerCore, (one) => ({ "conntrack-max-per-core": one.integer(0, counts) })),
        ...given(fields.min, (one) => ({ "conntrack-min": one.integer(0, counts) })),
        ...given(fields.tcpEstablishedTimeout, textTo("conntrack-tcp-timeout-established")),
        ...given(fields.tcpCloseWaitTimeout, textTo("conntrack-tcp-timeout-close-wait")),
        ...given(fields.tcpBeLiberal, booleanTo("conntrack-tcp-be-liberal")),
        ...given(fields.udpTimeout, textTo("conntrack-udp-timeout")),
        ...given(fields.udpStreamTimeout, textTo("conntrack-udp-timeout-stream")),
      };
    },
  },
  others:
    "featureGates logging showHiddenMetricsForVersion ipvs nftables winkernel detectLocal portRange windowsRunAsService",
};
