/** How controllers work, under upstream's names: for `bramble controller-manager`, and the most asked for `bramble master` too. */
import { decimal, duration, integer, texts, toggle, under, type ValuesOf } from "./option.ts";

const from = (min: number) => ({ min, max: 2_147_483_647 });

/** How many objects of each kind are worked on at a time. By flag: the controller, and the usual number. */
export const concurrencies = {
  "concurrent-deployment-syncs": ["deployment-controller", 5],
  "concurrent-statefulset-syncs": ["statefulset-controller", 5],
  "concurrent-daemonset-syncs": ["daemonset-controller", 5],
  "concurrent-endpoint-syncs": ["endpoints-controller", 5],
  "concurrent-service-endpoint-syncs": ["endpointslice-controller", 5],
  "mirroring-concurrent-service-endpoint-syncs": ["endpointslice-mirroring-controller", 5],
  "concurrent-ephemeralvolume-syncs": ["ephemeral-volume-controller", 5],
  "concurrent-horizontal-pod-autoscaler-syncs": ["horizontal-pod-autoscaler", 5],
  "concurrent-job-syncs": ["job-controller", 5],
  "concurrent-cron-job-syncs": ["cronjob-controller", 5],
  "concurrent-namespace-syncs": ["namespace-controller", 10],
  "concurrent-replicaset-syncs": ["replicaset-controller", 5],
  "concurrent-rc-syncs": ["replication-controller", 5],
  "concurrent-resource-quota-syncs": ["resourcequota-controller", 5],
  "concurrent-serviceaccount-token-syncs": ["serviceaccount-token-controller", 5],
  "concurrent-ttl-after-finished-syncs": ["ttl-after-finished-controller", 5],
} as const;

type ConcurrencyFlag = keyof typeof concurrencies;

/** By the controllers' names; absent: as many as usual. */
export type ConcurrencyValues = Readonly<Partial<Record<ConcurrencyFlag, number>>>;

const concurrencyOptions = Object.fromEntries(
  Object.entries(concurrencies).map(([flag, [controller, usual]]) => [
    flag,
    integer(
      flag,
      "N",
      `how many keys ${controller} works on at a time (Kubernetes: ${usual}; 0: Bramble's own number)`,
      0,
      from(0),
    ),
  ]),
) as { readonly [F in ConcurrencyFlag]: ReturnType<typeof integer> };

/** What masters have, too. */
export const controllerOptions = {
  controllers: texts(
    "controllers",
    "NAME",
    "which controllers run, by Kubernetes' names: * for all, NAME for one, -NAME for all but that",
    ["*"],
  ),
  clusterSigningDuration: duration(
    "cluster-signing-duration",
    "how long certificates last at most that the cluster's CA signs for others",
    "8760h",
  ),
  nodeCidrMaskSize: integer(
    "node-cidr-mask-size",
    "BITS",
    "size of a board's range of pod addresses; 0: 24, or 64 for IPv6",
    0,
    from(0),
  ),
  nodeCidrMaskSizeIpv4: integer(
    "node-cidr-mask-size-ipv4",
    "BITS",
    "the same in a cluster of both families; 0: 24",
    0,
    from(0),
  ),
  nodeCidrMaskSizeIpv6: integer("node-cidr-mask-size-ipv6", "BITS", "the same of IPv6; 0: 64", 0, from(0)),
  nodeEvictionRate: decimal(
    "node-eviction-rate",
    "N",
    "boards a second whose pods may begin to be evicted where most of a zone is well",
    0.1,
    from(0),
  ),
  secondaryNodeEvictionRate: decimal(
    "secondary-node-eviction-rate",
    "N",
    "the same where most of a large zone is not well; a small one stops",
    0.01,
    from(0),
  ),
  largeClusterSizeThreshold: integer(
    "large-cluster-size-threshold",
    "N",
    "boards from which a zone is large",
    50,
    from(0),
  ),
  unhealthyZoneThreshold: decimal(
    "unhealthy-zone-threshold",
    "SHARE",
    "share of a zone's boards (three at least) that are not ready when most of it counts as not well",
    0.55,
    { min: 0, max: 1 },
  ),
  terminatedPodGcThreshold: integer(
    "terminated-pod-gc-threshold",
    "N",
    "ended pods that may stay in the whole cluster; 0: any number",
    12_500,
    from(0),
  ),
  legacyServiceAccountTokenCleanUpPeriod: duration(
    "legacy-service-account-token-clean-up-period",
    "how long tokens in Secrets that were made by themselves may be unused",
    "8760h",
  ),
} as const;

export type ControllerValues = ValuesOf<typeof controllerOptions>;

/** Of a controller manager alone. */
export const controllerManagerTuning = under("How its controllers work:", {
  ...controllerOptions,
  ...concurrencyOptions,
  allocateNodeCidrs: toggle(
    "allocate-node-cidrs",
    "give each board its range of pod addresses of --cluster-cidr",
    true,
  ),
  serviceClusterIpRange: texts(
    "service-cluster-ip-range",
    "CIDR",
    "addresses of Services, which no board gets for pods",
  ),
  useServiceAccountCredentials: toggle(
    "use-service-account-credentials",
    "each controller acts by the token of its own service account; else all with the rights of --kubeconfig",
    true,
  ),
} as const);
