/** Settings of `bramble master` and `bramble worker`: each is a flag, and a key of the same name in the configuration file. */
import { accessOptions } from "./access-settings.ts";
import { admissionOptions } from "./admission-settings.ts";
import { agentOptions } from "./agent-settings.ts";
import { auditOptions } from "./audit-settings.ts";
import { autoscalingOptions } from "./autoscaling-options.ts";
import { controllerOptions } from "./controller-settings.ts";
import { featureGates } from "./feature-gates.ts";
import {
  choice,
  flag,
  hosts,
  integer,
  optionalInteger,
  seconds,
  text,
  texts,
  toggle,
  under,
  type ValuesOf,
  verbosity,
} from "./option.ts";
import { requestOptions } from "./request-settings.ts";

/** How this process works on its board. */
const processOptions = {
  dataDir: text("data-dir", "DIR", "where Bramble keeps its state", "/var/lib/bramble"),
  runDir: text("run-dir", "DIR", "sockets and other things that a reboot may forget", "/run/bramble"),
  logLevel: choice("log-level", "how much is logged", ["error", "warn", "info", "debug"], "info"),
  v: verbosity,
  featureGates,
  lowMemory: choice(
    "low-memory",
    "keep less only to be faster; auto: on a board with less than 700 MiB",
    ["auto", "on", "off"],
    "auto",
  ),
} as const;

/** The same on every board of a cluster. */
const networkOptions = under("The cluster's networks:", {
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
} as const);

/** Where a cluster's state rests, and what becomes of it when that is damaged. */
const storeOptions = under("The cluster's state:", {
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
  encryptionProviderConfig: text(
    "encryption-provider-config",
    "FILE",
    "EncryptionConfiguration (apiserver.config.k8s.io/v1): your own keys for what rests in the store (aescbc, aesgcm, secretbox, kms v2, identity); every master has the same (default: Secrets by the cluster's own key)",
    "",
  ),
  encryptionProviderConfigAutomaticReload: toggle(
    "encryption-provider-config-automatic-reload",
    "look at it again when it has changed",
    true,
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
} as const);

export const workerOptions = {
  ...processOptions,
  ...under("The cluster to join:", {
    server: texts("server", "URL", "the master's URL, https://ADDRESS:6443; several for several masters"),
    token: text("token", "TOKEN", "join token; `bramble token create` on the master prints one", ""),
    keepToken: flag(
      "keep-token",
      "leave the join token in the file of settings once the board has joined, for a card that is to be copied to other boards",
    ),
  } as const),
  ...networkOptions,
  ...agentOptions,
} as const;

/** A cluster that is there already. */
const joinOptions = under("The cluster to join as a further master:", {
  server: texts("server", "URL", "a master of the cluster to join as a further master, https://ADDRESS:6443"),
  token: text("token", "TOKEN", "token for masters; `bramble token create --master` on a master prints one", ""),
} as const);

/** How the API server is reached. */
const serverOptions = under("API server:", {
  bindAddress: text("bind-address", "IP", "address to listen on (default: all of the cluster's main family)", ""),
  advertiseAddress: text(
    "advertise-address",
    "IP",
    "address that boards and clients reach this master at (default: that of the default route)",
    "",
  ),
  httpsPort: integer("https-port", "PORT", "port of the API server", 6443, { min: 1, max: 65535 }),
  allowPrivileged: toggle("allow-privileged", "take pods with privileged containers", true),
  tlsSan: hosts("tls-san", "NAME", "further host name or address for the API server's certificate"),
  writeKubeconfig: text(
    "write-kubeconfig",
    "FILE",
    "where to write the administrator's kubeconfig",
    "/etc/bramble/kubeconfig.yaml",
  ),
  runtimeConfig: texts(
    "runtime-config",
    "KEY=BOOL",
    "which kinds of the API to serve, or with =false not to: GROUP/VERSION or GROUP/VERSION/RESOURCE, or api/ga, api/beta or api/all for many",
  ),
  serviceNodePortRange: text("service-node-port-range", "RANGE", "ports for NodePort Services", "30000-32767"),
  defaultTolerationSeconds: integer(
    "default-toleration-seconds",
    "SECONDS",
    "how long pods stay bound to a board that is not ready, unless they say otherwise (Kubernetes: 300)",
    60,
    { min: 0, max: 86400 },
  ),
  defaultNotReadyTolerationSeconds: optionalInteger(
    "default-not-ready-toleration-seconds",
    "SECONDS",
    "the same alone for boards that say that they are not ready",
    { min: 0, max: 2_147_483_647 },
  ),
  defaultUnreachableTolerationSeconds: optionalInteger(
    "default-unreachable-toleration-seconds",
    "SECONDS",
    "the same alone for boards that nothing is heard of",
    { min: 0, max: 2_147_483_647 },
  ),
} as const);

/** How scheduler and controllers work, and what they hand out. */
const controlOptions = under("Scheduler and controllers:", {
  schedulerConfig: text(
    "scheduler-config",
    "FILE",
    "KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1): profiles, plugins, their arguments",
    "",
  ),
  nodeMonitorGracePeriod: seconds(
    "node-monitor-grace-period",
    "age of a node's Lease after which it is not ready, where MQTT has not told sooner",
    20,
    { min: 2, max: 3600 },
  ),
  strainedBoardTaint: choice(
    "strained-board-taint",
    "effect of the taint on a board whose supply is too weak, that is throttled or hot",
    ["none", "PreferNoSchedule", "NoSchedule"],
    "PreferNoSchedule",
  ),
  defaultLocalStoragePath: text(
    "default-local-storage-path",
    "DIR",
    "folder on every board for volumes of StorageClass local-path",
    "/var/lib/bramble/storage",
  ),
  helmJobImage: text(
    "helm-job-image",
    "IMAGE",
    "what the Jobs of HelmCharts run: any image with sh and helm (or helm_v3, as klipper-helm)",
    "docker.io/alpine/helm:3.19.0",
  ),
  ...autoscalingOptions,
  ...controllerOptions,
  dist: text(
    "dist",
    "DIR",
    "install.sh and binaries that this master hands to joining boards",
    "/usr/local/share/bramble",
  ),
} as const);

export const masterOptions = {
  ...processOptions,
  noAgent: flag("no-agent", "run no pods on this board"),
  ...joinOptions,
  ...networkOptions,
  ...serverOptions,
  ...requestOptions,
  ...accessOptions,
  ...admissionOptions,
  ...auditOptions,
  tracingConfigFile: text(
    "tracing-config-file",
    "FILE",
    "TracingConfiguration (apiserver.config.k8s.io/v1): spans of requests go to an OpenTelemetry collector",
    "",
  ),
  ...storeOptions,
  ...controlOptions,
  ...agentOptions,
} as const;

export type WorkerSettings = ValuesOf<typeof workerOptions>;
export type MasterSettings = ValuesOf<typeof masterOptions>;
/** What the agent reads; a master with an agent on board has it too. */
export type AgentSettings = ValuesOf<typeof processOptions & typeof networkOptions & typeof agentOptions>;
