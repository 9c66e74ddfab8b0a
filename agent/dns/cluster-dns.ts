import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { configMaps, endpointSlices, namespaces, services } from "#shared/api/resources.ts";
import { canonicalAddress } from "#shared/board/cidr.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { hostNetwork, isIpv6 } from "#shared/net/ip-family.ts";
import { addSliceIndexes, sliceByAddress, sliceByService } from "../proxy/slice-index.ts";
import type { ClusterView } from "./cluster-records.ts";
import { DnsServer } from "./dns-server.ts";
import { type DnsSettings, readDnsSettings, usualDnsSettings } from "./dns-settings.ts";
import { Forwarder } from "./forwarder.ts";

export interface ClusterDnsOptions {
  readonly informers: InformerFactory;
  /** The DNS Service's cluster address: this board answers on it itself. */
  readonly address: string;
  readonly domain: string;
  /** Names the resolvers for other names: /etc/resolv.conf when absent. */
  readonly resolvConf?: string | undefined;
  readonly log: Log;
}

const serviceByIp = "cluster-ip";

/** Cluster DNS on this board: pods ask the Service's address, which is one of the board's own. */
export async function startClusterDns(options: ClusterDnsOptions): Promise<DnsServer> {
  const { informers, address, domain, resolvConf, log } = options;
  // On `lo` the address is the board's, whatever happens to other interfaces; it stays over a restart.
  await promisify(execFile)("ip", ["address", "replace", hostNetwork(address), "dev", "lo", ...atOnce(address)]);
  const forwarder = new Forwarder(new Set([address]), resolvConf);
  const server = new DnsServer({
    addresses: [address],
    port: 53,
    domain,
    view: clusterView(informers),
    forwarder,
    settings: followSettings(informers, forwarder, log),
    log,
  });
  await server.start();
  // Before the rest of the agent asks for what it needs: names are wanted at once.
  for (const informer of dnsInformers(informers)) informer.start();
  return server;
}

/** The ConfigMap with the settings, by the name that k3s gave it. */
export const dnsSettingsScope = { namespace: "kube-system", fieldSelector: "metadata.name=coredns-custom" } as const;

/** The settings as they are now; each board reads them, and a change holds from the next query on. */
function followSettings(informers: InformerFactory, forwarder: Forwarder, log: Log): () => DnsSettings {
  let settings = usualDnsSettings;
  informers.informer(configMaps, dnsSettingsScope).addHandler(({ type, object }) => {
    const read = readDnsSettings(type === "delete" ? undefined : object);
    settings = read.settings;
    forwarder.forget();
    for (const problem of read.problems)
      log.warn("a setting of ConfigMap kube-system/coredns-custom is left out", { problem });
  });
  return () => settings;
}

/** IPv6 looks for who else has an address before it may be used; on `lo` nobody has. */
const atOnce = (address: string): string[] => (isIpv6(address) ? ["nodad"] : []);

/** The address is another DNS' now: what an earlier run put on `lo` goes. */
export async function dropDnsAddress(address: string): Promise<void> {
  const { stdout } = await promisify(execFile)("ip", [
    "-o",
    "address",
    "show",
    "dev",
    "lo",
    "to",
    hostNetwork(address),
  ]);
  if (stdout.trim() !== "") await promisify(execFile)("ip", ["address", "delete", hostNetwork(address), "dev", "lo"]);
}

const dnsInformers = (informers: InformerFactory) =>
  [
    informers.informer(endpointSlices),
    informers.informer(services),
    informers.informer(namespaces),
    informers.informer(configMaps, dnsSettingsScope),
  ] as const;

function clusterView(informers: InformerFactory): ClusterView {
  const [slices, known, namespaceInformer, settings] = dnsInformers(informers);
  addSliceIndexes(slices);
  known.addIndex(serviceByIp, ({ spec }) => (spec?.clusterIPs ?? []).flatMap((ip) => canonicalAddress(ip) ?? []));
  // The settings are waited for too; where there are none, or no master says so, the usual ones hold.
  const usable = Promise.all([slices, known, namespaceInformer, settings].map((informer) => informer.usable));
  // Stopped before: then nobody asks any more.
  usable.catch(() => undefined);
  return {
    isUsable: () => [slices, known, namespaceInformer].every((informer) => informer.isUsable),
    usable: usable.then(() => undefined),
    service: (namespace, name) => known.lister.get(`${namespace}/${name}`),
    hasNamespace: (namespace) => namespaceInformer.lister.get(namespace) !== undefined,
    slices: (namespace, service) => slices.lister.byIndex(sliceByService, `${namespace}/${service}`),
    serviceByIp: (ip) => known.lister.byIndex(serviceByIp, ip)[0],
    slicesByAddress: (ip) => slices.lister.byIndex(sliceByAddress, ip),
  };
}
