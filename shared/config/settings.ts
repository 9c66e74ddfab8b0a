import { choice, duration, flag, integer, seconds, text, texts, toggle, type ValuesOf } from "./option.ts";

const upTo = (max: number): { min: number; max: number } => ({ min: 0, max });

/** Where things lie and what the cluster's networks are: the same on every board. */
const commonOptions = {
  dataDir: text("data-dir", "DIR", "where Bramble keeps its state", "/var/lib/bramble"),
  runDir: text("run-dir", "DIR", "sockets and other things that a reboot may forget", "/run/bramble"),
  clusterCidr: text(
    "cluster-cidr",
    "CIDR[,CIDR]",
    "addresses of pods: IPv4, IPv6, or both, the main one first; every board gets a /24 and a /64 of them",
    "10.42.0.0/16",
  ),
  serviceCidr: text("service-cidr", "CIDR[,CIDR]", "addresses of Services, of the families of pods", "10.43.0.0/16"),
  clusterDns: text(
    "cluster-dns",
    "IP",
    "address of the cluster's DNS Service (default: the tenth of service-cidr, 10.43.0.10)",
    "",
  ),
  clusterDomain: text("cluster-domain", "DOMAIN", "domain of the cluster's DNS names", "cluster.local"),
  logLevel: choice("log-level", "how much is logged", ["error", "warn", "info", "debug"], "info"),
  lowMemory: choice(
    "low-memory",
    "keep less only to be faster; auto: on a board with less than 700 MiB",
    ["auto", "on", "off"],
    "auto",
  ),
} as const;

/** Where a cluster's state rests: for the master, and for the API server alone. */
const storeOptions = {
  store: text(
    "store",
    "STORE",
    "where the cluster's state rests: sqlite; etcd, run by Bramble with a member on each master (`bramble etcd`); or etcd=https://HOST:2379,… with every member of one that you run",
    "sqlite",
  ),
  etcdQuota: text("etcd-quota", "QUANTITY", "largest database of the etcd that Bramble runs", "512Mi"),
  etcdCafile: text("etcd-cafile", "FILE", "the CA of the certificates of an etcd that you run", ""),
  etcdCertfile: text("etcd-certfile", "FILE", "certificate that etcd knows this master by", ""),
  etcdKeyfile: text("etcd-keyfile", "FILE", "the key of that certificate", ""),
} as const;

/** What runs on a board. */
const agentOptions = {
  nodeName: text("node-name", "NAME", "name of this board's Node (default: the host name)", ""),
  nodeIp: text(
    "node-ip",
    "IP[,IP]",
    "this board's address, or one of each family (default: those of the default route)",
    "",
  ),
  nodeLabel: texts("node-label", "KEY=VALUE", "label to register the Node with"),
  nodeTaint: texts("node-taint", "KEY=VALUE:EFFECT", "taint to register the Node with"),
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
  imageCredentialProviderBinDir: text("image-credential-provider-bin-dir", "DIR", "folder of their programs", ""),
  disableDefaultRegistryEndpoint: flag(
    "disable-default-registry-endpoint",
    "never ask a registry that has mirrors itself",
  ),
  kubeletPort: integer("kubelet-port", "PORT", "port of the kubelet's own server", 10250, { min: 0, max: 65535 }),
  cniConfDir: text(
    "cni-conf-dir",
    "DIR",
    "CNI network configurations; the first file in name order wins",
    "/etc/cni/net.d",
  ),
  cniBinDir: texts("cni-bin-dir", "DIR", "folders with CNI plugins", ["/opt/cni/bin", "/usr/lib/cni"]),
  asPods: flag(
    "as-pods",
    "run the components as static pods: on a master the control plane, on each board the service proxy and DNS; workers learn it from their master",
  ),
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
  disable: texts(
    "disable",
    "PART",
    "leave a part out: dns, ingress, network-policy, proxy, routes, servicelb, local-storage, helm-controller, metrics-server, dashboard, mdns",
  ),
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
  mqttPort: integer("mqtt-port", "PORT", "port of the MQTT broker for heartbeats", 8883, { min: 1, max: 65535 }),
  maxPods: integer("max-pods", "N", "pods this board takes", 110, { min: 1, max: 1000 }),
  kubeReservedMemory: text(
    "kube-reserved-memory",
    "QUANTITY",
    "memory kept from pods for Bramble and the system",
    "128Mi",
  ),
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
    "pods: all pods together get no more than the board has without what is reserved; none: they do",
    ["pods"],
  ),
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
} as const;

export const workerOptions = {
  ...commonOptions,
  ...agentOptions,
  server: texts("server", "URL", "the master's URL, https://ADDRESS:6443; several for several masters"),
  token: text("token", "TOKEN", "join token; `bramble token create` on the master prints one", ""),
  keepToken: flag(
    "keep-token",
    "leave the join token in the file of settings once the board has joined, for a card that is to be copied to other boards",
  ),
} as const;

export const masterOptions = {
  ...commonOptions,
  ...agentOptions,
  ...storeOptions,
  server: texts("server", "URL", "a master of the cluster to join as a further master, https://ADDRESS:6443"),
  token: text("token", "TOKEN", "token for masters; `bramble token create --master` on a master prints one", ""),
  bindAddress: text("bind-address", "IP", "address to listen on (default: all of the cluster's main family)", ""),
  advertiseAddress: text(
    "advertise-address",
    "IP",
    "address that boards and clients reach this master at (default: that of the default route)",
    "",
  ),
  httpsPort: integer("https-port", "PORT", "port of the API server", 6443, { min: 1, max: 65535 }),
  tlsSan: texts("tls-san", "NAME", "further host name or address for the API server's certificate"),
  writeKubeconfig: text(
    "write-kubeconfig",
    "FILE",
    "where to write the administrator's kubeconfig",
    "/etc/bramble/kubeconfig.yaml",
  ),
  noAgent: flag("no-agent", "run no pods on this board"),
  helmJobImage: text(
    "helm-job-image",
    "IMAGE",
    "what the Jobs of HelmCharts run: any image with sh and helm (or helm_v3, as klipper-helm)",
    "docker.io/alpine/helm:3.19.0",
  ),
  defaultLocalStoragePath: text(
    "default-local-storage-path",
    "DIR",
    "folder on every board for volumes of StorageClass local-path",
    "/var/lib/bramble/storage",
  ),
  schedulerConfig: text(
    "scheduler-config",
    "FILE",
    "KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1): profiles, plugins, their arguments",
    "",
  ),
  oidcIssuerUrl: text(
    "oidc-issuer-url",
    "URL",
    "issuer (OpenID Connect) whose ID tokens are taken as bearer tokens, https://…",
    "",
  ),
  oidcClientId: text("oidc-client-id", "ID", "for whom its tokens must be made", ""),
  oidcUsernameClaim: text("oidc-username-claim", "CLAIM", "what becomes the user's name", "sub"),
  oidcUsernamePrefix: text(
    "oidc-username-prefix",
    "PREFIX",
    "before the name; - for none (default: the issuer and #, but none for the claim email)",
    "",
  ),
  oidcGroupsClaim: text("oidc-groups-claim", "CLAIM", "what becomes the user's groups, a text or a list", ""),
  oidcGroupsPrefix: text("oidc-groups-prefix", "PREFIX", "before each group", ""),
  oidcRequiredClaim: texts("oidc-required-claim", "CLAIM=VALUE", "what a token must say to be taken"),
  oidcSigningAlgs: texts("oidc-signing-algs", "ALG", "algorithms of signatures that are taken (default: RS256)"),
  oidcCaFile: text("oidc-ca-file", "FILE", "the CA of the issuer's certificate (default: the system's)", ""),
  authenticationConfig: text(
    "authentication-config",
    "FILE",
    "AuthenticationConfiguration (apiserver.config.k8s.io/v1): issuers of tokens, anonymous requests; instead of oidc-…",
    "",
  ),
  authenticationTokenWebhookConfigFile: text(
    "authentication-token-webhook-config-file",
    "FILE",
    "kubeconfig of a service that is asked who bearer tokens belong to",
    "",
  ),
  authenticationTokenWebhookVersion: choice(
    "authentication-token-webhook-version",
    "version of the TokenReviews that it is sent",
    ["v1", "v1beta1"],
    "v1beta1",
  ),
  authenticationTokenWebhookCacheTtl: duration(
    "authentication-token-webhook-cache-ttl",
    "how long its answers are kept",
    "2m",
  ),
  requestheaderClientCaFile: text(
    "requestheader-client-ca-file",
    "FILE",
    "the CA of proxies in front that say whose requests they bring (default: the cluster's front-proxy CA)",
    "",
  ),
  requestheaderAllowedNames: texts(
    "requestheader-allowed-names",
    "NAME",
    "common names of their certificates (default: front-proxy-client, but any of a CA of one's own)",
  ),
  requestheaderUsernameHeaders: texts("requestheader-username-headers", "HEADER", "where they say the user's name", [
    "X-Remote-User",
  ]),
  requestheaderUidHeaders: texts("requestheader-uid-headers", "HEADER", "its UID", ["X-Remote-Uid"]),
  requestheaderGroupHeaders: texts("requestheader-group-headers", "HEADER", "its groups", ["X-Remote-Group"]),
  requestheaderExtraHeadersPrefix: texts(
    "requestheader-extra-headers-prefix",
    "PREFIX",
    "what headers with its other properties begin with",
    ["X-Remote-Extra-"],
  ),
  authorizationMode: texts(
    "authorization-mode",
    "MODE",
    "who is asked whether a request may be made, in this order: Node, RBAC, Webhook, AlwaysAllow, AlwaysDeny",
    ["Node", "RBAC"],
  ),
  authorizationConfig: text(
    "authorization-config",
    "FILE",
    "AuthorizationConfiguration (apiserver.config.k8s.io/v1): the same with webhooks and their conditions; instead of authorization-…",
    "",
  ),
  authorizationWebhookConfigFile: text(
    "authorization-webhook-config-file",
    "FILE",
    "kubeconfig of the service that is asked in mode Webhook",
    "",
  ),
  authorizationWebhookVersion: choice(
    "authorization-webhook-version",
    "version of the SubjectAccessReviews that it is sent",
    ["v1", "v1beta1"],
    "v1beta1",
  ),
  authorizationWebhookCacheAuthorizedTtl: duration(
    "authorization-webhook-cache-authorized-ttl",
    "how long it is remembered that it allowed a request",
    "5m",
  ),
  authorizationWebhookCacheUnauthorizedTtl: duration(
    "authorization-webhook-cache-unauthorized-ttl",
    "how long it is remembered that it did not",
    "30s",
  ),
  auditPolicyFile: text("audit-policy-file", "FILE", "Policy (audit.k8s.io/v1): which requests are recorded", ""),
  auditLogPath: text("audit-log-path", "FILE", "where they are recorded; - for standard output", ""),
  auditLogFormat: choice("audit-log-format", "as JSON, or as upstream's old lines", ["json", "legacy"], "json"),
  auditLogMaxsize: integer("audit-log-maxsize", "MB", "size at which that file is put aside; 0: 100", 0, upTo(100_000)),
  auditLogMaxage: integer(
    "audit-log-maxage",
    "DAYS",
    "age at which an older file is removed; 0: never",
    0,
    upTo(36_500),
  ),
  auditLogMaxbackup: integer("audit-log-maxbackup", "N", "how many older files are kept; 0: all", 0, upTo(10_000)),
  auditLogBatchMaxWait: integer(
    "audit-log-batch-max-wait",
    "SECONDS",
    "how long events are gathered before a write, which spares the card; a crash loses them. 0: each at once",
    10,
    upTo(3600),
  ),
  auditLogBatchMaxSize: integer(
    "audit-log-batch-max-size",
    "N",
    "events that are written together",
    400,
    upTo(100_000),
  ),
  auditLogBatchBufferSize: integer(
    "audit-log-batch-buffer-size",
    "N",
    "events that may wait to be written; more are lost",
    10_000,
    upTo(1_000_000),
  ),
  auditWebhookConfigFile: text(
    "audit-webhook-config-file",
    "FILE",
    "kubeconfig of a collector that events are sent to",
    "",
  ),
  auditWebhookBatchMaxWait: integer(
    "audit-webhook-batch-max-wait",
    "SECONDS",
    "how long events are gathered before they are sent",
    30,
    upTo(3600),
  ),
  auditWebhookBatchMaxSize: integer(
    "audit-webhook-batch-max-size",
    "N",
    "events that are sent together",
    400,
    upTo(100_000),
  ),
  auditWebhookBatchBufferSize: integer(
    "audit-webhook-batch-buffer-size",
    "N",
    "events that may wait to be sent; more are lost",
    10_000,
    upTo(1_000_000),
  ),
  auditWebhookInitialBackoff: integer(
    "audit-webhook-initial-backoff",
    "SECONDS",
    "pause before events that could not be sent are sent again",
    10,
    upTo(3600),
  ),
  serviceNodePortRange: text("service-node-port-range", "RANGE", "ports for NodePort Services", "30000-32767"),
  defaultTolerationSeconds: integer(
    "default-toleration-seconds",
    "SECONDS",
    "how long pods stay bound to a board that is not ready, unless they say otherwise (Kubernetes: 300)",
    60,
    { min: 0, max: 86400 },
  ),
  strainedBoardTaint: choice(
    "strained-board-taint",
    "effect of the taint on a board whose supply is too weak, that is throttled or hot",
    ["none", "PreferNoSchedule", "NoSchedule"],
    "PreferNoSchedule",
  ),
  nodeMonitorGracePeriod: seconds(
    "node-monitor-grace-period",
    "age of a node's Lease after which it is not ready, where MQTT has not told sooner",
    20,
    { min: 2, max: 3600 },
  ),
  backupSchedule: text(
    "backup-schedule",
    "CRON",
    "when this master backs up the cluster's state and keys, in UTC; empty for never",
    "17 3 * * *",
  ),
  backupKeep: integer("backup-keep", "N", "how many of these backups are kept", 5, { min: 1, max: 1000 }),
  backupDir: text("backup-dir", "DIR", "where they go (default: DATA-DIR/backups)", ""),
  onCorruption: choice(
    "on-corruption",
    "when the store or keys are damaged on the disk and more is lost than can be read: take the newest good backup, go on with what can be read, or stop until somebody has looked",
    ["restore", "salvage", "stop"],
    "restore",
  ),
  dist: text(
    "dist",
    "DIR",
    "install.sh and binaries that this master hands to joining boards",
    "/usr/local/share/bramble",
  ),
} as const;

export type WorkerSettings = ValuesOf<typeof workerOptions>;
export type MasterSettings = ValuesOf<typeof masterOptions>;
/** What the agent reads; a master with an agent on board has it too. */
export type AgentSettings = ValuesOf<typeof commonOptions & typeof agentOptions>;
