/** Which controllers run (--controllers), by upstream's names. */
import { ConfigError } from "#shared/config/option.ts";

/** Where a controller's name here is another than upstream's. */
const upstreamNames: Readonly<Record<string, string>> = {
  "certificate-approver": "certificatesigningrequest-approving-controller",
  "certificate-cleaner": "certificatesigningrequest-cleaner-controller",
  "certificate-signer": "certificatesigningrequest-signing-controller",
  "horizontal-pod-autoscaler": "horizontal-pod-autoscaler-controller",
  "node-controller": "node-lifecycle-controller",
  "replication-controller": "replicationcontroller-controller",
};

/** Controllers of upstream's that are not here: what they do is not there to do, or the API server does it. */
const upstreamsAlone = `cloud-node-lifecycle-controller device-taint-eviction-controller
  kube-apiserver-serving-clustertrustbundle-publisher-controller node-route-controller
  podcertificaterequest-cleaner-controller selinux-warning-controller service-lb-controller
  storage-version-migrator-controller storageversion-garbage-collector-controller
  validatingadmissionpolicy-status-controller`.split(/\s+/);

/** Names that upstream's controllers had before. */
const aliases: Readonly<Record<string, string>> = {
  attachdetach: "persistentvolume-attach-detach-controller",
  bootstrapsigner: "bootstrap-signer-controller",
  cloudnodelifecycle: "cloud-node-lifecycle-controller",
  clusterroleaggregation: "clusterrole-aggregation-controller",
  cronjob: "cronjob-controller",
  csrapproving: "certificatesigningrequest-approving-controller",
  csrcleaner: "certificatesigningrequest-cleaner-controller",
  csrsigning: "certificatesigningrequest-signing-controller",
  daemonset: "daemonset-controller",
  deployment: "deployment-controller",
  disruption: "disruption-controller",
  endpoint: "endpoints-controller",
  endpointslice: "endpointslice-controller",
  endpointslicemirroring: "endpointslice-mirroring-controller",
  ephemeralvolume: "ephemeral-volume-controller",
  garbagecollector: "garbage-collector-controller",
  horizontalpodautoscaling: "horizontal-pod-autoscaler-controller",
  job: "job-controller",
  legacyserviceaccounttokencleaner: "legacy-serviceaccount-token-cleaner-controller",
  namespace: "namespace-controller",
  nodeipam: "node-ipam-controller",
  nodelifecycle: "node-lifecycle-controller",
  persistentvolumebinder: "persistentvolume-binder-controller",
  persistentvolumeexpander: "persistentvolume-expander-controller",
  podgc: "pod-garbage-collector-controller",
  pvcprotection: "persistentvolumeclaim-protection-controller",
  pvprotection: "persistentvolume-protection-controller",
  replicaset: "replicaset-controller",
  replicationcontroller: "replicationcontroller-controller",
  resourceclaimcontroller: "resourceclaim-controller",
  resourcequota: "resourcequota-controller",
  rootcacertpublisher: "root-ca-certificate-publisher-controller",
  route: "node-route-controller",
  service: "service-lb-controller",
  serviceaccount: "serviceaccount-controller",
  serviceaccounttoken: "serviceaccount-token-controller",
  statefulset: "statefulset-controller",
  storageversiongc: "storageversion-garbage-collector-controller",
  svm: "storage-version-migrator-controller",
  tokencleaner: "token-cleaner-controller",
  ttl: "ttl-controller",
  ttlafterfinished: "ttl-after-finished-controller",
};

export const upstreamName = (name: string): string => upstreamNames[name] ?? name;

/**
 * Whether a controller of that name runs.
 * @param wanted as in the setting: `*`, `NAME`, `-NAME`; the first that speaks of a controller decides.
 * @param own names of all controllers that there are.
 * Throws ConfigError for a name that neither Bramble nor upstream has.
 */
export function choiceOfControllers(wanted: readonly string[], own: readonly string[]): (name: string) => boolean {
  const known = new Set([...own.map(upstreamName), ...upstreamsAlone]);
  const choices = wanted.map((word) => {
    const name = word.replace(/^-/, "");
    const canonical = aliases[name] ?? upstreamName(name);
    if (word !== "*" && !known.has(canonical))
      throw new ConfigError(`controllers: ${JSON.stringify(name)} is not in the list of known controllers`);
    return { name: canonical, runs: !word.startsWith("-") };
  });
  return (name) => {
    const found = choices.find((choice) => choice.name === upstreamName(name));
    return found?.runs ?? choices.some((choice) => choice.name === "*");
  };
}
