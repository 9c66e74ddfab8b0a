import type { Pod } from "#shared/api/types/core-v1.generated.ts";

export interface DnsConfig {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

export interface ClusterDns {
  readonly servers: readonly string[];
  readonly domain: string;
}

const mostServers = 3;
const mostSearches = 32;
const longestSearchLine_chars = 2048;

/** Reads a resolv.conf. */
export function parseResolvConf(text: string): DnsConfig {
  const servers: string[] = [];
  let searches: string[] = [];
  let options: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === "nameserver" && values[0]) servers.push(values[0]);
    if (keyword === "search")
      searches = values.filter((value) => value !== ".").map((value) => value.replace(/\.$/, ""));
    if (keyword === "options") options = mergeOptions(options, values);
  }
  return { servers, searches, options };
}

/**
 * A pod's resolver settings by its dnsPolicy and dnsConfig. `omitted` tells what the limits cut off, for an event with
 * reason DNSConfigForming.
 */
export function podDns(pod: Pod, host: DnsConfig, cluster: ClusterDns): { dns: DnsConfig; omitted: readonly string[] } {
  const { dnsConfig } = pod.spec;
  const base = baseDns(pod, host, cluster);
  const merged: DnsConfig = dnsConfig
    ? {
        servers: unique([...base.servers, ...(dnsConfig.nameservers ?? [])]),
        searches: unique([...base.searches, ...(dnsConfig.searches ?? [])]),
        options: mergeOptions(
          base.options,
          (dnsConfig.options ?? []).map(({ name = "", value }) => (value ? `${name}:${value}` : name)),
        ),
      }
    : base;
  return fitLimits(merged);
}

/** By its policy the pod asks the cluster's DNS. */
const wantsClusterDns = ({ spec: { dnsPolicy = "ClusterFirst", hostNetwork } }: Pod): boolean =>
  dnsPolicy === "ClusterFirstWithHostNet" || (dnsPolicy === "ClusterFirst" && hostNetwork !== true);

/** What is told of a pod that asks the board's servers for want of a DNS of the cluster; undefined when it need not be. */
export const missingClusterDns = (pod: Pod, { servers }: ClusterDns): string | undefined =>
  wantsClusterDns(pod) && servers.length === 0
    ? 'kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. Falling back to "Default" policy.'
    : undefined;

function baseDns(pod: Pod, host: DnsConfig, cluster: ClusterDns): DnsConfig {
  const policy = pod.spec.dnsPolicy ?? "ClusterFirst";
  if (policy === "None") return { servers: [], searches: [], options: [] };
  if (!wantsClusterDns(pod) || cluster.servers.length === 0) return host;
  const { domain } = cluster;
  const own = domain ? [`${pod.metadata.namespace}.svc.${domain}`, `svc.${domain}`, domain] : [];
  return { servers: cluster.servers, searches: unique([...own, ...host.searches]), options: ["ndots:5"] };
}

function fitLimits(dns: DnsConfig): { dns: DnsConfig; omitted: readonly string[] } {
  const omitted: string[] = [];
  const servers = dns.servers.slice(0, mostServers);
  if (servers.length < dns.servers.length) {
    omitted.push(
      `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${servers.join(" ")}`,
    );
  }
  let searches = dns.searches.slice(0, mostSearches).filter((search) => search.length <= 253);
  while (searches.join(" ").length > longestSearchLine_chars) searches = searches.slice(0, -1);
  if (searches.length < dns.searches.length) {
    omitted.push(
      `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${searches.join(" ")}`,
    );
  }
  return { dns: { servers, searches, options: dns.options }, omitted };
}

/** Later options replace earlier ones of the same name. */
function mergeOptions(earlier: readonly string[], later: readonly string[]): string[] {
  const byName = new Map<string, string>();
  for (const option of [...earlier, ...later]) byName.set(option.split(":")[0] ?? option, option);
  return [...byName.values()];
}

const unique = (items: readonly string[]): string[] => [...new Set(items)];
