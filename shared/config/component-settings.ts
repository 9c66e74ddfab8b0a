/** Settings of the components that run in a process of their own, under upstream's names where upstream has them. */
import { autoscalingOptions } from "./autoscaling-options.ts";
import { controllerManagerTuning } from "./controller-settings.ts";
import { givenCredentialOptions } from "./given-credentials.ts";
import { metricOptions } from "./metric-options.ts";
import { choice, decimal, duration, integer, type Option, text, texts, toggle, type ValuesOf } from "./option.ts";
import { masterOptions } from "./settings.ts";
import { unheededOfApiServer, unheededOfControllerManager, unheededOfScheduler } from "./upstream-flags.ts";

const kubeconfig = text("kubeconfig", "FILE", "how the API server is reached, and who this component is there", "");
const { logLevel, v, featureGates, clusterCidr } = masterOptions;

/** What every component has that holds a Lease and serves its health, with upstream's port. */
const electedOptions = (port: number, lease: string, burst: number) => ({
  kubeconfig,
  ...metricOptions,
  kubeApiQps: {
    ...decimal("kube-api-qps", "N", "", 0, { min: 0.001, max: 1_000_000 }),
    description: "requests a second to the API server, without watches and its Lease (default: as many as there are)",
    fallback: undefined,
  } as Option<number | undefined>,
  kubeApiBurst: integer("kube-api-burst", "N", "and so many at once after a pause", burst, { min: 1, max: 1_000_000 }),
  leaderElect: toggle("leader-elect", "act only while this process holds the component's Lease", true),
  leaderElectLeaseDuration: duration("leader-elect-lease-duration", "how long the Lease holds", "15s"),
  leaderElectRenewDeadline: duration(
    "leader-elect-renew-deadline",
    "when a holder gives up that cannot renew it",
    "10s",
  ),
  leaderElectRetryPeriod: duration("leader-elect-retry-period", "how often who has no Lease tries for it", "2s"),
  leaderElectResourceName: text("leader-elect-resource-name", "NAME", "name of the Lease", lease),
  leaderElectResourceNamespace: text("leader-elect-resource-namespace", "NAMESPACE", "its namespace", "kube-system"),
  bindAddress: text("bind-address", "IP", "address of this component's own server", "0.0.0.0"),
  securePort: integer("secure-port", "PORT", "its port for /healthz, /metrics and the like, by TLS; 0: none", port, {
    min: 0,
    max: 65_535,
  }),
  tlsCertFile: text("tls-cert-file", "FILE", "its certificate (default: one that it signs itself at the start)", ""),
  tlsPrivateKeyFile: text("tls-private-key-file", "FILE", "the key of that certificate", ""),
  clientCaFile: text(
    "client-ca-file",
    "FILE",
    "who certifies its clients (default: whom the API server takes, by ConfigMap extension-apiserver-authentication)",
    "",
  ),
  authenticationKubeconfig: text(
    "authentication-kubeconfig",
    "FILE",
    "where tokens of its clients are looked up (default: --kubeconfig)",
    "",
  ),
  authorizationKubeconfig: text(
    "authorization-kubeconfig",
    "FILE",
    "where it is asked what they may do (default: --kubeconfig)",
    "",
  ),
  authenticationSkipLookup: toggle(
    "authentication-skip-lookup",
    "take whom these flags name alone, and not whom the API server does",
    false,
  ),
  requestheaderClientCaFile: text(
    "requestheader-client-ca-file",
    "FILE",
    "the CA of proxies that say whose requests they bring (default: as the API server's)",
    "",
  ),
  requestheaderAllowedNames: texts(
    "requestheader-allowed-names",
    "NAME",
    "common names of their certificates; with a CA of one's own, none stands for any",
  ),
  requestheaderUsernameHeaders: texts("requestheader-username-headers", "HEADER", "where they say the user's name"),
  requestheaderUidHeaders: texts("requestheader-uid-headers", "HEADER", "its UID"),
  requestheaderGroupHeaders: texts("requestheader-group-headers", "HEADER", "its groups"),
  requestheaderExtraHeadersPrefix: texts(
    "requestheader-extra-headers-prefix",
    "PREFIX",
    "what headers with its other properties begin with",
  ),
  authorizationAlwaysAllowPaths: texts(
    "authorization-always-allow-paths",
    "PATH",
    "what everybody may read; PATH* stands for all that begins so",
    ["/healthz", "/readyz", "/livez"],
  ),
  logLevel,
  v,
  featureGates,
});

export type ElectedSettings = ValuesOf<ReturnType<typeof electedOptions>>;

export const schedulerOptions = {
  ...electedOptions(10_259, "kube-scheduler", 100),
  schedulerConfig: masterOptions.schedulerConfig,
  ...unheededOfScheduler,
} as const;

const signerFile = (signer: string, part: "cert" | "key") =>
  text(
    `cluster-signing-${signer}-${part}-file`,
    "FILE",
    `${part === "cert" ? "the CA" : "the key of the CA"} that signs for ${signer} (default: --cluster-signing-${part}-file)`,
    "",
  );

/** CAs of single signers. */
const signerFileOptions = {
  clusterSigningKubeletServingCertFile: signerFile("kubelet-serving", "cert"),
  clusterSigningKubeletServingKeyFile: signerFile("kubelet-serving", "key"),
  clusterSigningKubeletClientCertFile: signerFile("kubelet-client", "cert"),
  clusterSigningKubeletClientKeyFile: signerFile("kubelet-client", "key"),
  clusterSigningKubeApiserverClientCertFile: signerFile("kube-apiserver-client", "cert"),
  clusterSigningKubeApiserverClientKeyFile: signerFile("kube-apiserver-client", "key"),
  clusterSigningLegacyUnknownCertFile: signerFile("legacy-unknown", "cert"),
  clusterSigningLegacyUnknownKeyFile: signerFile("legacy-unknown", "key"),
} as const;

export const controllerManagerOptions = {
  ...electedOptions(10_257, "kube-controller-manager", 30),
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
  helmJobImage: masterOptions.helmJobImage,
  ...autoscalingOptions,
  ...controllerManagerTuning,
  ...signerFileOptions,
  httpsPort: masterOptions.httpsPort,
  mqttPort: masterOptions.mqttPort,
  kubeletPort: masterOptions.kubeletPort,
  ingressHttpPort: masterOptions.ingressHttpPort,
  ingressHttpsPort: masterOptions.ingressHttpsPort,
  ...unheededOfControllerManager,
} as const;

/** An API server is a master without the rest; these name some of its settings as upstream does, and win. */
export const apiServerOptions = {
  ...masterOptions,
  ...givenCredentialOptions,
  etcdServers: texts("etcd-servers", "URL", "members of etcd; as --store etcd=URL,…"),
  securePort: integer("secure-port", "PORT", "as --https-port; 0: that one", 0, { min: 0, max: 65535 }),
  serviceClusterIpRange: text("service-cluster-ip-range", "CIDR", "as --service-cidr", ""),
  endpointReconcilerType: choice(
    "endpoint-reconciler-type",
    "how this API server gets into the endpoints of the Service kubernetes: by its Lease, or not",
    ["lease", "none"],
    "lease",
  ),
  ...metricOptions,
  ...unheededOfApiServer,
} as const;

export type SchedulerSettings = ValuesOf<typeof schedulerOptions>;
export type ControllerManagerSettings = ValuesOf<typeof controllerManagerOptions>;
export type ApiServerSettings = ValuesOf<typeof apiServerOptions>;
