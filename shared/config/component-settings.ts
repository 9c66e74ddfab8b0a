/** Settings of the components that run in a process of their own, under upstream's names where upstream has them. */
import { choice, integer, text, texts, type ValuesOf } from "./option.ts";
import { masterOptions } from "./settings.ts";

const kubeconfig = text("kubeconfig", "FILE", "how the API server is reached, and who this component is there", "");
const { logLevel, clusterCidr, serviceCidr, clusterDns } = masterOptions;

const electedOptions = {
  kubeconfig,
  leaderElect: choice(
    "leader-elect",
    "act only while this process holds the component's Lease",
    ["true", "false"],
    "true",
  ),
  logLevel,
} as const;

export const schedulerOptions = { ...electedOptions, schedulerConfig: masterOptions.schedulerConfig } as const;

export const controllerManagerOptions = {
  ...electedOptions,
  rootCaFile: text("root-ca-file", "FILE", "the cluster's CA, which is published to every namespace", ""),
  clusterSigningCertFile: text("cluster-signing-cert-file", "FILE", "the CA that signs certificates", ""),
  clusterSigningKeyFile: text("cluster-signing-key-file", "FILE", "the key of that CA", ""),
  serviceAccountPrivateKeyFile: text(
    "service-account-private-key-file",
    "FILE",
    "the key that signs tokens in Secrets for service accounts; without it they stay empty",
    "",
  ),
  clusterDomain: masterOptions.clusterDomain,
  clusterCidr,
  nodeMonitorGracePeriod: masterOptions.nodeMonitorGracePeriod,
  strainedBoardTaint: masterOptions.strainedBoardTaint,
  disable: masterOptions.disable,
  defaultLocalStoragePath: masterOptions.defaultLocalStoragePath,
  httpsPort: masterOptions.httpsPort,
  mqttPort: masterOptions.mqttPort,
  kubeletPort: masterOptions.kubeletPort,
  ingressHttpPort: masterOptions.ingressHttpPort,
  ingressHttpsPort: masterOptions.ingressHttpsPort,
} as const;

export const proxyOptions = {
  kubeconfig,
  hostnameOverride: text("hostname-override", "NAME", "the name of this board's Node (default: the host name)", ""),
  clusterCidr,
  serviceCidr,
  clusterDns,
  proxyMode: masterOptions.proxyMode,
  disable: texts("disable", "PART", "dns: no board answers for the cluster's names itself"),
  logLevel,
} as const;

/** An API server is a master without the rest; these name some of its settings as upstream does, and win. */
export const apiServerOptions = {
  ...masterOptions,
  etcdServers: texts("etcd-servers", "URL", "members of etcd; as --store etcd=URL,…"),
  securePort: integer("secure-port", "PORT", "as --https-port; 0: that one", 0, { min: 0, max: 65535 }),
  serviceClusterIpRange: text("service-cluster-ip-range", "CIDR", "as --service-cidr", ""),
} as const;

export type SchedulerSettings = ValuesOf<typeof schedulerOptions>;
export type ControllerManagerSettings = ValuesOf<typeof controllerManagerOptions>;
export type ProxySettings = ValuesOf<typeof proxyOptions>;
export type ApiServerSettings = ValuesOf<typeof apiServerOptions>;
