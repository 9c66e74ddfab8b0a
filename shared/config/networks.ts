import { isIPv4, isIPv6 } from "node:net";
import { formatCidrAddress, parseCidr } from "../board/cidr.ts";
import type { IpFamily } from "../net/ip-family.ts";
import { ConfigError } from "./option.ts";

export interface FamilyNetwork {
  readonly family: IpFamily;
  readonly cidr: string;
}

/**
 * `10.42.0.0/16`, `fd42::/56,10.42.0.0/16`, `fd42::/56`: the networks of a cluster, at most one of each family. The first
 * one's family is that by which masters and boards reach each other, and that of what has one address only. Throws
 * ConfigError.
 * @param option the flag's name without dashes, for messages
 */
export function parseNetworks(option: string, text: string): readonly [FamilyNetwork, ...FamilyNetwork[]] {
  const networks = text.split(",").map((part) => parseNetwork(option, part.trim()));
  const [first, second] = networks;
  if (first === undefined || networks.length > 2) {
    throw new ConfigError(`${option}: expected one network or one of each address family, got ${text}`);
  }
  if (second === undefined) return [first];
  if (second.family === first.family) {
    throw new ConfigError(`${option}: two networks must be of different address families, got ${text}`);
  }
  return [first, second];
}

/** The family of a cluster's first network. Throws ConfigError. */
export const primaryFamily = ({ clusterCidr }: { readonly clusterCidr: string }): IpFamily =>
  parseNetworks("cluster-cidr", clusterCidr)[0].family;

/** As few addresses may the first network of Services have, as upstream has it. */
const FEWEST_SERVICE_ADDRESSES = 8;

/** The first network of Services. Throws ConfigError. */
export function primaryServiceCidr({ serviceCidr }: { readonly serviceCidr: string }): string {
  const [{ cidr }] = parseNetworks("service-cidr", serviceCidr);
  if (sizeOf(cidr) >= FEWEST_SERVICE_ADDRESSES) return cidr;
  throw new ConfigError(`service-cidr: ${tooSmall}, got ${cidr}`);
}

const tooSmall = `the service cluster IP range must be at least ${FEWEST_SERVICE_ADDRESSES} IP addresses`;

/** How many addresses a network has; more than there is any use for count as so many. */
function sizeOf(cidr: string): number {
  const { bits = 0, prefix = 0 } = parseCidr(cidr) ?? {};
  return 2 ** Math.min(bits - prefix, 32);
}

/** What kube-apiserver refuses of its `--service-cluster-ip-range`, in its words. Throws ConfigError. */
export function assertServiceClusterIpRange(text: string): void {
  const parts = text.split(",");
  const networks = parts.map((part) => (part.includes("/") ? parseCidr(part) : undefined));
  const fault = (why: string): ConfigError => new ConfigError(why);
  if (!networks[0]) throw fault("service-cluster-ip-range[0] is not a valid cidr");
  if (sizeOf(parts[0] ?? "") < FEWEST_SERVICE_ADDRESSES)
    throw fault(`error determining service IP ranges for primary service cidr: ${tooSmall}`);
  if (parts.length > 1 && !networks[1]) throw fault("service-cluster-ip-range[1] is not an ip net");
  if (parts.length > 2) throw fault("--service-cluster-ip-range must not contain more than two entries");
  if (networks[1]?.bits === networks[0].bits)
    throw fault("--service-cluster-ip-range[0] and --service-cluster-ip-range[1] must be of different IP family");
}

/** Which address of Services answers DNS by default. */
const DNS_ADDRESS = 10;

/**
 * The address of the cluster's DNS Service: the one that is set, or the tenth of the first network of Services; of one that has not
 * so many, the last that a Service can have. Throws ConfigError.
 */
export function dnsAddress(settings: { readonly clusterDns: string; readonly serviceCidr: string }): string {
  if (settings.clusterDns) return settings.clusterDns;
  const cidr = primaryServiceCidr(settings);
  // The very last one is an IPv4 network's broadcast address.
  return nthAddress(cidr, Math.min(DNS_ADDRESS, sizeOf(cidr) - 2));
}

/** The n-th address of a network of Services: `10.43.0.1`, `fd43::1` for n = 1. Throws ConfigError for what has not so many. */
export function nthAddress(cidr: string, n: number): string {
  const network = cidr.includes("/") ? parseCidr(cidr) : undefined;
  if (network === undefined || BigInt(n) >= 1n << BigInt(network.bits - network.prefix)) {
    throw new ConfigError(
      `service-cidr: expected a network of more than ${n} addresses such as 10.43.0.0/16, got ${cidr}`,
    );
  }
  return formatCidrAddress({ ...network, address: network.address + BigInt(n) });
}

/** Throws ConfigError when pods and Services have not the same first family: a Service leads to pods of its own. */
export function assertSamePrimary(settings: { readonly clusterCidr: string; readonly serviceCidr: string }): void {
  const family = primaryFamily(settings);
  if (parseNetworks("service-cidr", settings.serviceCidr)[0].family === family) return;
  throw new ConfigError(`service-cidr: its first network must be ${family} as that of cluster-cidr`);
}

export interface ServiceNetwork {
  readonly family: IpFamily;
  readonly clusterCidr: string;
  readonly serviceCidrs: readonly string[];
  readonly ownClusterIps: ReadonlySet<string>;
}

/**
 * What a board's proxy works with: families that have both pods and Services. Throws ConfigError.
 * @param ownClusterIps cluster addresses that the board answers itself, of any family
 */
export function proxyNetworks(
  clusterCidr: string,
  serviceCidr: string,
  ownClusterIps: readonly string[],
): ServiceNetwork[] {
  const pods = parseNetworks("cluster-cidr", clusterCidr);
  return parseNetworks("service-cidr", serviceCidr).flatMap(({ family, cidr }) => {
    const own = pods.find((network) => network.family === family);
    if (own === undefined) return [];
    // A rule about an address of the other family would have all of this one's rules refused.
    const answered = ownClusterIps.filter((address) => (family === "IPv4" ? isIPv4(address) : isIPv6(address)));
    return [{ family, clusterCidr: own.cidr, serviceCidrs: [cidr], ownClusterIps: new Set(answered) }];
  });
}

/** An address in a network stands for the network, as upstream reads it. */
function withoutHost(text: string): string {
  const network = parseCidr(text);
  if (network === undefined) return text;
  const { address, bits, prefix } = network;
  const shift = BigInt(bits - prefix);
  const base = (address >> shift) << shift;
  return base === address ? text : `${formatCidrAddress({ bits, prefix, address: base })}/${prefix}`;
}

function parseNetwork(option: string, text: string): FamilyNetwork {
  const [address = "", bits = "", ...rest] = text.split("/");
  const family = isIPv4(address) ? "IPv4" : isIPv6(address) ? "IPv6" : undefined;
  const isPrefix = /^\d{1,3}$/.test(bits) && Number(bits) <= (family === "IPv4" ? 32 : 128);
  if (family === undefined || !isPrefix || rest.length > 0) {
    throw new ConfigError(`${option}: expected a network such as 10.42.0.0/16 or fd42::/56, got ${text}`);
  }
  return { family, cidr: withoutHost(text) };
}
