/** Settings of `bramble kubelet`, under upstream's names where upstream has them. */
import { evictionOptions } from "./eviction-options.ts";
import { showHiddenMetricsForVersion } from "./metric-options.ts";
import { choices, integer, text, texts, toggle, type ValuesOf } from "./option.ts";
import { placementOptions } from "./placement-options.ts";
import { proxyTuningOptions } from "./proxy-tuning.ts";
import { workerOptions } from "./settings.ts";
import { tuningOptions } from "./tuning-options.ts";
import { unheededOfProxy } from "./upstream-flags.ts";

const port = { min: 0, max: 65_535 };
const {
  clusterCidr,
  runDir,
  containerRuntimeEndpoint,
  cniConfDir,
  cniBinDir,
  maxPods,
  nodeIp,
  clusterDomain,
  logLevel,
  v,
  featureGates,
} = workerOptions;

export const kubeletOptions = {
  kubeconfig: text(
    "kubeconfig",
    "FILE",
    "how the API server is reached, and who this board is there; written from --bootstrap-kubeconfig where it is missing",
    "",
  ),
  bootstrapKubeconfig: text(
    "bootstrap-kubeconfig",
    "FILE",
    "with whose rights this board asks for its first certificate, where --kubeconfig is missing",
    "",
  ),
  hostnameOverride: text("hostname-override", "NAME", "name of this board's Node (default: the host name)", ""),
  nodeIp,
  nodeLabels: texts("node-labels", "KEY=VALUE", "labels to register the Node with"),
  registerWithTaints: texts("register-with-taints", "KEY=VALUE:EFFECT", "taints to register the Node with"),
  rootDir: text("root-dir", "DIR", "where the kubelet keeps volumes and what it knows", "/var/lib/kubelet"),
  certDir: text("cert-dir", "DIR", "where its certificates lie (default: ROOT-DIR/pki)", ""),
  podLogsDir: text(
    "pod-logs-dir",
    "DIR",
    "where logs of pods are linked, a folder named pods (a field of KubeletConfiguration)",
    "/var/log/pods",
  ),
  containerLogMaxSize: workerOptions.containerLogMaxSize,
  containerLogMaxFiles: workerOptions.containerLogMaxFiles,
  podManifestPath: text("pod-manifest-path", "DIR", "folder of static pods; none when empty", ""),
  containerRuntimeEndpoint,
  clusterDns: texts("cluster-dns", "IP", "DNS servers of pods; none: those of the board"),
  clusterDomain,
  resolvConf: text("resolv-conf", "FILE", "the board's own DNS settings, for pods", "/etc/resolv.conf"),
  address: text("address", "IP", "address of the kubelet's own server", "0.0.0.0"),
  port: integer("port", "PORT", "port of the kubelet's own server; 0: none", 10250, port),
  healthzBindAddress: text("healthz-bind-address", "IP", "address of /healthz", "127.0.0.1"),
  healthzPort: integer("healthz-port", "PORT", "port of /healthz; 0: none", 10248, port),
  clientCaFile: text(
    "client-ca-file",
    "FILE",
    "who certifies clients of the kubelet's server; without it only tokens count",
    "",
  ),
  tlsCertFile: text(
    "tls-cert-file",
    "FILE",
    "certificate of the kubelet's server (default: a self-signed one in CERT-DIR)",
    "",
  ),
  tlsPrivateKeyFile: text("tls-private-key-file", "FILE", "the key of that certificate", ""),
  rotateCertificates: toggle(
    "rotate-certificates",
    "renew the client certificate that was asked for at bootstrap",
    true,
  ),
  rotateServerCertificates: toggle(
    "rotate-server-certificates",
    "ask the cluster for the certificate of the kubelet's server, and renew it",
    false,
  ),
  maxPods,
  kubeReserved: texts(
    "kube-reserved",
    "RESOURCE=QUANTITY",
    "what is kept from pods for Kubernetes: cpu, memory, ephemeral-storage",
    ["memory=128Mi"],
  ),
  systemReserved: texts("system-reserved", "RESOURCE=QUANTITY", "what is kept from pods for the system, likewise"),
  cgroupsPerQos: workerOptions.cgroupsPerQos,
  cgroupRoot: workerOptions.cgroupRoot,
  podMaxPids: workerOptions.podMaxPids,
  enforceNodeAllocatable: workerOptions.enforceNodeAllocatable,
  kubeReservedCgroup: workerOptions.kubeReservedCgroup,
  systemReservedCgroup: workerOptions.systemReservedCgroup,
  imageGcHighThreshold: workerOptions.imageGcHighThreshold,
  imageGcLowThreshold: workerOptions.imageGcLowThreshold,
  minimumImageTtlDuration: workerOptions.minimumImageTtlDuration,
  imageMaximumGcAge: workerOptions.imageMaximumGcAge,
  imagePullCredentialsVerificationPolicy: workerOptions.imagePullCredentialsVerificationPolicy,
  preloadedImagesVerificationAllowlist: workerOptions.preloadedImagesVerificationAllowlist,
  ...evictionOptions,
  ...tuningOptions,
  ...placementOptions,
  shutdownGracePeriod: workerOptions.shutdownGracePeriod,
  shutdownGracePeriodCriticalPods: workerOptions.shutdownGracePeriodCriticalPods,
  shutdownGracePeriodByPodPriority: workerOptions.shutdownGracePeriodByPodPriority,
  nodeLeaseDurationSeconds: integer(
    "node-lease-duration-seconds",
    "SECONDS",
    "how long the Node's Lease holds; renewed four times within that (a field of KubeletConfiguration)",
    40,
    { min: 4, max: 3600 },
  ),
  cniConfDir,
  cniBinDir,
  clusterCidr,
  runDir,
  privateRegistry: workerOptions.privateRegistry,
  registryProxyPort: workerOptions.registryProxyPort,
  disableDefaultRegistryEndpoint: workerOptions.disableDefaultRegistryEndpoint,
  imageCredentialProviderConfig: workerOptions.imageCredentialProviderConfig,
  imageCredentialProviderBinDir: workerOptions.imageCredentialProviderBinDir,
  logLevel,
  v,
  featureGates,
} as const;

export type KubeletSettings = ValuesOf<typeof kubeletOptions>;

export const proxyOptions = {
  kubeconfig: text("kubeconfig", "FILE", "how the API server is reached, and who this component is there", ""),
  hostnameOverride: text("hostname-override", "NAME", "the name of this board's Node (default: the host name)", ""),
  clusterCidr,
  serviceCidr: workerOptions.serviceCidr,
  clusterDns: workerOptions.clusterDns,
  proxyMode: workerOptions.proxyMode,
  healthzBindAddress: text(
    "healthz-bind-address",
    "IP:PORT",
    "where /healthz and /livez are served; empty: nowhere",
    "0.0.0.0:10256",
  ),
  metricsBindAddress: text(
    "metrics-bind-address",
    "IP:PORT",
    "where /metrics is served; empty: nowhere",
    "127.0.0.1:10249",
  ),
  checkpointDir: text(
    "checkpoint-dir",
    "DIR",
    "where it keeps what it knows, to begin with when no API server answers; nowhere when empty",
    "",
  ),
  disable: choices("disable", "PART", "what no board answers for itself", ["dns"]),
  logLevel,
  v,
  featureGates,
  ...proxyTuningOptions,
  showHiddenMetricsForVersion,
  ...unheededOfProxy,
} as const;

export type ProxySettings = ValuesOf<typeof proxyOptions>;

export const dnsOptions = {
  kubeconfig: proxyOptions.kubeconfig,
  resolvConf: text("resolv-conf", "FILE", "who is asked for names outside of the cluster", "/etc/resolv.conf"),
  clusterDns: text("cluster-dns", "IP", "address of the cluster's DNS Service", "10.43.0.10"),
  clusterDomain,
  healthPort: integer(
    "health-port",
    "PORT",
    "port of /health and /ready on this board's loopback; 0: none",
    8181,
    port,
  ),
  checkpointDir: proxyOptions.checkpointDir,
  logLevel,
} as const;

export type DnsSettings = ValuesOf<typeof dnsOptions>;
