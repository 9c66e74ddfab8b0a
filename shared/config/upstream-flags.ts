/** Flags of upstream's components that change nothing here: they tune Go's servers, or what Bramble does in another way. */
import { decimal, duration, integer, type Option, text, texts, toggle, withoutEffect } from "./option.ts";

const from0 = { min: 0, max: Number.MAX_SAFE_INTEGER };

/** How a flag of a type of upstream's is read, with upstream's default. */
const readers: Readonly<Record<string, (name: string, description: string, fallback: string) => Option<unknown>>> = {
  bool: (name, description, fallback) => toggle(name, description, fallback === "true"),
  int: (name, description, fallback) => integer(name, "N", description, Number(fallback), from0),
  float: (name, description, fallback) => decimal(name, "N", description, Number(fallback), from0),
  duration: (name, description, fallback) => duration(name, description, fallback || "0s"),
  string: (name, description, fallback) => text(name, "TEXT", description, fallback),
  strings: (name, description, fallback) => texts(name, "TEXT", description, fallback === "" ? [] : [fallback]),
};

/** @param flags `name:type=default`, with blanks between. */
function unheeded(flags: string): Readonly<Record<string, Option<unknown>>> {
  const options = flags
    .trim()
    .split(/\s+/)
    .map((flag) => {
      const [, name = "", type = "", fallback = ""] = /^([^:]+):(\w+)=(.*)$/.exec(flag) ?? [];
      const reader = readers[type];
      if (!reader) throw new Error(`a flag of no known type: ${flag}`);
      return [name, reader(name, "", fallback)] as const;
    });
  return withoutEffect(Object.fromEntries(options));
}

/** Of every component. */
const everywhere = `
  contention-profiling:bool= emulated-version:strings= min-compatibility-version:strings=
  log-flush-frequency:duration=5s log-json-info-buffer-size:string=0 log-json-split-stream:bool=
  log-text-info-buffer-size:string=0 log-text-split-stream:bool= vmodule:strings= logging-format:string=text
  profiling:bool=`;

/** Of every component's own server. */
const ofServers = `
  http2-max-streams-per-connection:int=0 permit-address-sharing:bool= permit-port-sharing:bool=`;

/** Of the API's clients; ours are held by no limit of their own. */
const ofClients = `kube-api-content-type:string=application/vnd.kubernetes.protobuf`;

/** Of scheduler and controller manager. */
const ofElected = `${everywhere} ${ofServers} ${ofClients} cert-dir:string=
  disable-http2-serving:bool= leader-elect-resource-lock:string=leases authentication-tolerate-lookup-failure:bool=
  authentication-token-webhook-cache-ttl:duration=10s authorization-webhook-cache-authorized-ttl:duration=10s
  authorization-webhook-cache-unauthorized-ttl:duration=10s`;

export const unheededOfApiServer = unheeded(`${everywhere} ${ofServers} disable-http2-serving:bool=
  emulation-forward-compatible:bool= enable-aggregator-routing:bool=true enable-priority-and-fairness:bool=true
  runtime-config-emulation-forward-compatible:bool=
  livez-grace-period:duration= shutdown-send-retry-after:bool= shutdown-watch-termination-grace-period:duration=
  storage-initialization-timeout:duration=1m
  delete-collection-workers:int=1 enable-garbage-collector:bool=true etcd-compaction-interval:duration=5m
  etcd-count-metric-poll-period:duration=1m etcd-db-metric-poll-interval:duration=30s
  etcd-healthcheck-timeout:duration=2s etcd-readycheck-timeout:duration=2s etcd-servers-overrides:strings=
  lease-reuse-duration-seconds:int=60 storage-backend:string=
  storage-media-type:string=application/vnd.kubernetes.protobuf watch-cache:bool=true watch-cache-sizes:strings=
  debug-socket-path:string= service-account-lookup:bool=true
  aggregator-reject-forwarding-redirect:bool=true coordinated-leadership-lease-duration:duration=15s
  coordinated-leadership-renew-deadline:duration=10s coordinated-leadership-retry-period:duration=2s
  enable-logs-handler:bool= kubelet-timeout:duration=5s kubernetes-service-node-port:int=0
  max-connection-bytes-per-sec:int=0 peer-advertise-ip:string= peer-advertise-port:string= peer-ca-file:string=`);

export const unheededOfScheduler = unheeded(`${ofElected}
  pod-max-in-unschedulable-pods-duration:duration=5m`);

export const unheededOfControllerManager = unheeded(`${ofElected}
  enable-leader-migration:bool= leader-migration-config:string= cidr-allocator-type:string=RangeAllocator
  cloud-config:string= cloud-provider:string= cluster-name:string=kubernetes configure-cloud-routes:bool=true
  controller-shutdown-timeout:duration=10s controller-start-interval:duration=
  external-cloud-volume-plugin:string= min-resync-period:duration=12h node-monitor-period:duration=5s
  route-reconciliation-period:duration=10s concurrent-service-syncs:int=1
  attach-detach-reconcile-sync-period:duration=1m disable-attach-detach-reconcile-sync:bool=
  concurrent-device-taint-eviction-syncs:int=8 namespace-sync-period:duration=5m
  enable-hostpath-provisioner:bool= flex-volume-plugin-dir:string=
  pv-recycler-increment-timeout-nfs:int=30 pv-recycler-minimum-timeout-hostpath:int=60
  pv-recycler-minimum-timeout-nfs:int=300 pv-recycler-pod-template-filepath-hostpath:string=
  pv-recycler-pod-template-filepath-nfs:string= pv-recycler-timeout-increment-hostpath:int=30
  enable-garbage-collector:bool=true concurrent-gc-syncs:int=20
  enable-dynamic-provisioning:bool=true disable-force-detach-on-timeout:bool= node-startup-grace-period:duration=1m
  endpoint-updates-batch-period:duration= endpointslice-updates-batch-period:duration= max-endpoints-per-slice:int=100
  mirroring-endpointslice-updates-batch-period:duration= mirroring-max-endpoints-per-subset:int=1000
  resource-quota-sync-period:duration=5m
  pvclaimbinder-sync-period:duration=15s concurrent-validating-admission-policy-status-syncs:int=5`);

export const unheededOfProxy = unheeded(`${everywhere} ${ofClients} kube-api-qps:float=5 kube-api-burst:int=10
  bind-address:string=0.0.0.0 bind-address-hard-fail:bool= boot-id-file:string=/proc/sys/kernel/random/boot_id
  machine-id-file:string=/etc/machine-id config-sync-period:duration=15m init-only:bool=
  iptables-masquerade-bit:int=14 iptables-min-sync-period:duration=1s iptables-sync-period:duration=30s
  ipvs-exclude-cidrs:strings= ipvs-min-sync-period:duration=1s ipvs-scheduler:string= ipvs-strict-arp:bool=
  ipvs-sync-period:duration=30s ipvs-tcp-timeout:duration= ipvs-tcpfin-timeout:duration= ipvs-udp-timeout:duration=
  detect-local-mode:string=ClusterCIDR pod-bridge-interface:string= pod-interface-name-prefix:string=`);
