import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { endpointSlices, namespaces, services } from "#shared/api/resources.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { addSliceIndexes, sliceByAddress, sliceByService } from "../proxy/slice-index.ts";
import type { ClusterView } from "./cluster-records.ts";
import { DnsServer } from "./dns-server.ts";
import { Forwarder } from "./forwarder.ts";

export interface ClusterDnsOptions {
  readonly informers: InformerFactory;
  /** The DNS Service's cluster address: this board answers on it itself. */
  readonly address: string;
  readonly domain: string;
  readonly log: Log;
}

const serviceByIp = "cluster-ip";

/** Cluster DNS on this board: pods ask the Service's address, which is one of the board's own. */
export async function startClusterDns(options: ClusterDnsOptions): Promise<DnsServer> {
  const { informers, address, domain, log } = options;
  // On `lo` the address is the board's, whatever happens to other interfaces; it stays over a restart.
  await promisify(execFile)("ip", ["address", "replace", `${address}/32`, "dev", "lo"]);
  const server = new DnsServer({
    addresses: [address],
    port: 53,
    domain,
    view: clusterView(informers),
    forwarder: new Forwarder(new Set([address])),
    log,
  });
  await server.start();
  return server;
}

export function clusterView(informers: InformerFactory): ClusterView {
  const slices = informers.informer(endpointSlices);
  const known = informers.informer(services);
  addSliceIndexes(slices);
  known.addIndex(serviceByIp, ({ spec }) => (spec?.clusterIPs ?? []).filter((ip) => ip !== "None"));
  const namespaceInformer = informers.informer(namespaces);
  return {
    isUsable: () => [slices, known, namespaceInformer].every((informer) => informer.isUsable),
    service: (namespace, name) => known.lister.get(`${namespace}/${name}`),
    hasNamespace: (namespace) => namespaceInformer.lister.get(namespace) !== undefined,
    slices: (namespace, service) => slices.lister.byIndex(sliceByService, `${namespace}/${service}`),
    serviceByIp: (ip) => known.lister.byIndex(serviceByIp, ip)[0],
    slicesByAddress: (ip) => slices.lister.byIndex(sliceByAddress, ip),
  };
}
