import { isIPv4, isIPv6 } from "node:net";
import { ConfigError } from "./option.ts";

export type IpFamily = "IPv4" | "IPv6";

export interface FamilyNetwork {
  readonly family: IpFamily;
  readonly cidr: string;
}

/**
 * `10.42.0.0/16` or `10.42.0.0/16,fd42::/56`: the networks of a cluster, at most one of each family. Masters and boards
 * reach each other by IPv4, so that family is always there and the first. Throws ConfigError.
 * @param option the flag's name without dashes, for messages
 */
export function parseNetworks(option: string, text: string): readonly [FamilyNetwork, ...FamilyNetwork[]] {
  const networks = text.split(",").map((part) => parseNetwork(option, part.trim()));
  const [first, second] = networks;
  if (first === undefined || networks.length > 2) {
    throw new ConfigError(`${option}: expected one network or one of each address family, got ${text}`);
  }
  if (first.family !== "IPv4") {
    throw new ConfigError(
      `${option}: the first network must be IPv4 (no IPv6-only and no IPv6-first clusters), got ${text}`,
    );
  }
  if (second === undefined) return [first];
  if (second.family === first.family) {
    throw new ConfigError(`${option}: two networks must be of different address families, got ${text}`);
  }
  return [first, second];
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

function parseNetwork(option: string, text: string): FamilyNetwork {
  const [address = "", bits = "", ...rest] = text.split("/");
  const family = isIPv4(address) ? "IPv4" : isIPv6(address) ? "IPv6" : undefined;
  const isPrefix = /^\d{1,3}$/.test(bits) && Number(bits) <= (family === "IPv4" ? 32 : 128);
  if (family === undefined || !isPrefix || rest.length > 0) {
    throw new ConfigError(`${option}: expected a network such as 10.42.0.0/16 or fd42::/56, got ${text}`);
  }
  return { family, cidr: text };
}
