/** Upstream's configuration files of kubelet and kube-proxy, as the settings that their fields stand for. */
import { configurationText, readDocument } from "./document.ts";
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
  /** What upstream knows besides. */
  readonly others: string;
}

/** Throws ConfigError that names everything that is wrong in the file. */
export function readComponentConfiguration(path: string, form: ComponentForm): ComponentConfiguration {
  return readDocument(configurationText(path), path, form.kind, (root) => decode(root, form));
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
  return { settings, withoutEffect: others.filter((name) => found[name] && !found[name].isAbsent) };
}

const textTo = (option: string) => (field: Field) => ({ [option]: field.text() });
const booleanTo = (option: string) => (field: Field) => ({ [option]: field.boolean(false) });
const portTo = (option: string) => (field: Field) => ({ [option]: field.integer(0, { min: 0, max: 65_535 }) });
const textsTo = (option: string) => (field: Field) => ({ [option]: field.items().map((item) => item.text()) });

function quantitiesTo(option: string) {
  return (field: Field): Record<string, unknown> => {
    const value = field.value;
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return { [option]: Object.entries(value).map(([name, quantity]) => `${name}=${String(quantity)}`) };
    field.complain("expected a mapping");
    return {};
  };
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
    systemReserved: quantitiesTo("system-reserved"),
    kubeReserved: quantitiesTo("kube-reserved"),
    cgroupsPerQOS: (field) => ({ "cgroups-per-qos": field.boolean(true) }),
    cgroupRoot: textTo("cgroup-root"),
    podPidsLimit: (field) => ({ "pod-max-pids": field.integer(-1, { min: -1, max: 4_194_304 }) }),
    enforceNodeAllocatable: textsTo("enforce-node-allocatable"),
    registerWithTaints: taints,
    imageGCHighThresholdPercent: (field) => ({
      "image-gc-high-threshold": field.integer(85, { min: 0, max: 100 }),
    }),
    imageGCLowThresholdPercent: (field) => ({ "image-gc-low-threshold": field.integer(80, { min: 0, max: 100 }) }),
    imageMinimumGCAge: textTo("minimum-image-ttl-duration"),
    imageMaximumGCAge: textTo("image-maximum-gc-age"),
    imagePullCredentialsVerificationPolicy: textTo("image-pull-credentials-verification-policy"),
    preloadedImagesVerificationAllowlist: textsTo("preloaded-images-verification-allowlist"),
    shutdownGracePeriod: textTo("shutdown-grace-period"),
    shutdownGracePeriodCriticalPods: textTo("shutdown-grace-period-critical-pods"),
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
    "enableServer syncFrequency fileCheckFrequency httpCheckFrequency staticPodURL staticPodURLHeader tlsCipherSuites tlsMinVersion registryPullQPS registryBurst eventRecordQPS eventBurst enableDebuggingHandlers enableContentionProfiling oomScoreAdj streamingConnectionIdleTimeout nodeStatusUpdateFrequency nodeStatusReportFrequency volumeStatsAggPeriod kubeletCgroups systemCgroups cgroupDriver cpuManagerPolicy singleProcessOOMKill cpuManagerPolicyOptions cpuManagerReconcilePeriod memoryManagerPolicy topologyManagerPolicy topologyManagerScope topologyManagerPolicyOptions qosReserved runtimeRequestTimeout hairpinMode podCIDR runOnce cpuCFSQuota cpuCFSQuotaPeriod nodeStatusMaxImages maxOpenFiles contentType kubeAPIQPS kubeAPIBurst serializeImagePulls maxParallelImagePulls evictionHard evictionSoft evictionSoftGracePeriod evictionPressureTransitionPeriod evictionMaxPodGracePeriod evictionMinimumReclaim mergeDefaultEvictionSettings podsPerCore enableControllerAttachDetach protectKernelDefaults makeIPTablesUtilChains iptablesMasqueradeBit iptablesDropBit featureGates failSwapOn memorySwap containerLogMaxWorkers containerLogMonitorInterval configMapAndSecretChangeDetectionStrategy reservedSystemCPUs showHiddenMetricsForVersion systemReservedCgroup kubeReservedCgroup allowedUnsafeSysctls volumePluginDir providerID kernelMemcgNotification logging enableSystemLogHandler enableSystemLogQuery crashLoopBackOff reservedMemory enableProfilingHandler enableDebugFlagsHandler seccompDefault memoryThrottlingFactor tracing localStorageCapacityIsolation imageServiceEndpoint failCgroupV1 userNamespaces",
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
    clusterCIDR: (field) => (field.text() === "" ? {} : { "cluster-cidr": field.text() }),
  },
  others:
    "featureGates logging bindAddress bindAddressHardFail enableProfiling showHiddenMetricsForVersion iptables ipvs nftables winkernel detectLocalMode detectLocal nodePortAddresses oomScoreAdj conntrack configSyncPeriod portRange windowsRunAsService",
};
