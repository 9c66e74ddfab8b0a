/** Settings of what runs on a board. */
import { evictionOptions } from "./eviction-options.ts";
import { choice, choices, duration, flag, integer, text, texts, toggle, under } from "./option.ts";
import { placementOptions } from "./placement-options.ts";
import { tuningOptions } from "./tuning-options.ts";

/** What can be left out of a cluster, or of what a board does for it. */
const optionalParts = [
  "dns",
  "ingress",
  "network-policy",
  "proxy",
  "routes",
  "servicelb",
  "local-storage",
  "helm-controller",
  "metrics-server",
  "dashboard",
  "mdns",
  "upgrade",
] as const;

export type OptionalPart = (typeof optionalParts)[number];

/** The board as a node of the cluster. */
const boardOptions = under("This board:", {
  nodeName: text("node-name", "NAME", "name of this board's Node (default: the host name)", ""),
  nodeIp: text(
    "node-ip",
    "IP[,IP]",
    "this board's address, or one of each family (default: those of the default route)",
    "",
  ),
  nodeLabel: texts("node-label", "KEY=VALUE", "label to register the Node with"),
  nodeTaint: texts("node-taint", "KEY=VALUE:EFFECT", "taint to register the Node with"),
  kubeletPort: integer("kubelet-port", "PORT", "port of the kubelet's own server", 10250, { min: 0, max: 65535 }),
  rootDir: text(
    "root-dir",
    "DIR",
    "where CSI drivers, device plug-ins and DRA drivers look for the kubelet; theirs must name it too",
    "/var/lib/kubelet",
  ),
  podLogsDir: text(
    "pod-logs-dir",
    "DIR",
    "where logs of pods are linked, a folder named pods; those by container lie beside it",
    "/var/log/pods",
  ),
  podManifestDir: text("pod-manifest-dir", "DIR", "folder of static pods (default: DATA-DIR/static-pods)", ""),
  asPods: flag(
    "as-pods",
    "run the components as static pods: on a master the control plane, on each board the service proxy and DNS; workers learn it from their master",
  ),
  disable: choices("disable", "PART", "leave a part out", optionalParts),
} as const);

/** What containers run by, and where their images come from. */
const runtimeOptions = under("Container runtime and images:", {
  containerRuntimeEndpoint: text(
    "container-runtime-endpoint",
    "SOCKET",
    "socket of the container runtime: Docker's, Podman's Docker-compatible one, or containerd's or CRI-O's, spoken to by CRI",
    "unix:///var/run/docker.sock",
  ),
  privateRegistry: text(
    "private-registry",
    "FILE",
    "mirrors, credentials and certificates of image registries, in the form of k3s' registries.yaml",
    "/etc/bramble/registries.yaml",
  ),
  registryProxyPort: integer(
    "registry-proxy-port",
    "PORT",
    "port on loopback by which Docker pulls from registries that this file names",
    10261,
    { min: 1, max: 65535 },
  ),
  imageCredentialProviderConfig: text(
    "image-credential-provider-config",
    "FILE",
    "CredentialProviderConfig (kubelet.config.k8s.io/v1), or a folder of them: plugins that know credentials of registries",
    "",
  ),
  containerLogMaxSize: text(
    "container-log-max-size",
    "QUANTITY",
    "size at which a file of a container's log is set aside; negative: never",
    "10Mi",
  ),
  containerLogMaxFiles: integer(
    "container-log-max-files",
    "N",
    "files of a container's log that are kept, the one in use among them",
    5,
    { min: 2, max: 1000 },
  ),
  imageCredentialProviderBinDir: text("image-credential-provider-bin-dir", "DIR", "folder of their programs", ""),
  disableDefaultRegistryEndpoint: flag(
    "disable-default-registry-endpoint",
    "never ask a registry that has mirrors itself",
  ),
} as const);

/** How pods are reached. */
const trafficOptions = under("Pod networks, Services and Ingresses:", {
  cniConfDir: text(
    "cni-conf-dir",
    "DIR",
    "CNI network configurations; the first file in name order wins",
    "/etc/cni/net.d",
  ),
  cniBinDir: texts("cni-bin-dir", "DIR", "folders with CNI plugins", ["/opt/cni/bin", "/usr/lib/cni"]),
  proxyMode: choice(
    "proxy-mode",
    "how Services reach pods: by netfilter rules, or by relays in the agent where the kernel lacks modules for those",
    ["iptables", "userspace"],
    "iptables",
  ),
  ingressHttpPort: integer("ingress-http-port", "PORT", "port of the boards for Ingresses; 0: none", 80, {
    min: 0,
    max: 65535,
  }),
  ingressHttpsPort: integer("ingress-https-port", "PORT", "the same with TLS; 0: none", 443, { min: 0, max: 65535 }),
  ingressTimeout: integer("ingress-timeout", "SECONDS", "silence after which a request to an Ingress is given up", 60, {
    min: 1,
    max: 86400,
  }),
} as const);

/** What pods may take of the board. */
const resourceOptions = under("What pods may take:", {
  maxPods: integer("max-pods", "N", "pods this board takes", 110, { min: 1, max: 1000 }),
  kubeReservedMemory: text(
    "kube-reserved-memory",
    "QUANTITY",
    "memory kept from pods for Bramble and the system",
    "128Mi",
  ),
  kubeReserved: texts(
    "kube-reserved",
    "RESOURCE=QUANTITY",
    "what is kept from pods for Kubernetes: cpu, memory (instead of kube-reserved-memory), ephemeral-storage",
  ),
  systemReserved: texts("system-reserved", "RESOURCE=QUANTITY", "what is kept from pods for the system, likewise"),
  cgroupsPerQos: toggle(
    "cgroups-per-qos",
    "give each pod a control group of its own, by its class of service; off by itself where the kernel lacks what it takes",
    true,
  ),
  cgroupRoot: text("cgroup-root", "GROUP", "the control group that holds those of all pods (default: the topmost)", ""),
  podMaxPids: integer("pod-max-pids", "N", "processes that a pod may have; -1: no limit", -1, {
    min: -1,
    max: 4_194_304,
  }),
  enforceNodeAllocatable: texts(
    "enforce-node-allocatable",
    "PART",
    "pods: all pods together get no more than the board has without what is reserved; kube-reserved, system-reserved: these groups get what is reserved for them; the same with -compressible: of it only the CPU; none: no such bounds",
    ["pods"],
  ),
  kubeReservedCgroup: text(
    "kube-reserved-cgroup",
    "GROUP",
    "control group of what Kubernetes runs beside pods, which must be there",
    "",
  ),
  systemReservedCgroup: text("system-reserved-cgroup", "GROUP", "control group of the system, likewise", ""),
} as const);

/** Which images stay on the board, and who may use them. */
const imageOptions = under("Images on the board:", {
  imageGcHighThreshold: integer(
    "image-gc-high-threshold",
    "PERCENT",
    "unused images go when the disk is so full; 100: never for that",
    85,
    { min: 0, max: 100 },
  ),
  imageGcLowThreshold: integer("image-gc-low-threshold", "PERCENT", "until the disk is no fuller than this", 80, {
    min: 0,
    max: 100,
  }),
  minimumImageTtlDuration: duration("minimum-image-ttl-duration", "an image that has come since is left alone", "2m"),
  imageMaximumGcAge: duration(
    "image-maximum-gc-age",
    "images that nothing has used for so long go, however much room there is; 0: they stay",
    "0s",
  ),
  imagePullCredentialsVerificationPolicy: choice(
    "image-pull-credentials-verification-policy",
    "which images on the board a pod gets only if its pull secrets open them: those that a pull of this kubelet has brought, " +
      "all but those of --preloaded-images-verification-allowlist, all, or none",
    ["NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages", "AlwaysVerify", "NeverVerify"],
    "NeverVerifyPreloadedImages",
  ),
  preloadedImagesVerificationAllowlist: texts(
    "preloaded-images-verification-allowlist",
    "IMAGE",
    "images without tag that every pod may use, or REGISTRY/PATH/* for all below",
  ),
} as const);

/** What becomes of pods when the board goes down. */
const shutdownOptions = under("Shutdown of the board:", {
  shutdownGracePeriod: duration(
    "shutdown-grace-period",
    "how long pods have to end when this board shuts down; 0: they are cut off, and go on after a reboot",
    "0s",
  ),
  shutdownGracePeriodCriticalPods: duration(
    "shutdown-grace-period-critical-pods",
    "the last part of it, which is for critical pods",
    "0s",
  ),
  shutdownGracePeriodByPodPriority: texts(
    "shutdown-grace-period-by-pod-priority",
    "PRIORITY=SECONDS",
    "instead of these two: pods of this priority and more, up to the next that is named, have that long, the lowest first",
  ),
} as const);

/** How a board says that it lives, and how it is. */
const mqttOptions = under("Heartbeats and telemetry by MQTT:", {
  mqttPort: integer("mqtt-port", "PORT", "port of the MQTT broker for heartbeats", 8883, { min: 1, max: 65535 }),
  mqttBroker: text(
    "mqtt-broker",
    "URL",
    "MQTT broker of your own, mqtts://HOST:8883 or mqtt://HOST:1883, instead of the master's; the same on masters and boards",
    "",
  ),
  mqttUsername: text("mqtt-username", "NAME", "user name at that broker (default: the certificate alone)", ""),
  mqttPasswordFile: text("mqtt-password-file", "FILE", "file with the password at that broker", ""),
  mqttCa: text("mqtt-ca", "FILE", "PEM file of who certifies that broker (default: the system's authorities)", ""),
  mqttKeepalive: integer(
    "mqtt-keepalive",
    "SECONDS",
    "MQTT keepalive; an agent that lets three pass is given up. A board without power or link is noticed within 5 s all the same",
    10,
    { min: 1, max: 600 },
  ),
  mqttTelemetry: integer(
    "mqtt-telemetry",
    "SECONDS",
    "how often this board tells temperature, supply, memory and disk by MQTT; 0: never",
    0,
    { min: 0, max: 86400 },
  ),
  homeAssistant: text(
    "home-assistant",
    "PREFIX",
    "discovery prefix of Home Assistant (its default: homeassistant), for boards that show there by themselves; with mqtt-telemetry",
    "",
  ),
} as const);

export const agentOptions = {
  ...boardOptions,
  ...runtimeOptions,
  ...trafficOptions,
  ...resourceOptions,
  ...imageOptions,
  ...evictionOptions,
  ...tuningOptions,
  ...placementOptions,
  ...shutdownOptions,
  ...mqttOptions,
} as const;
