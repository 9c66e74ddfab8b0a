import { networkInterfaces } from "node:os";
import { contains, parseCidr } from "#shared/board/cidr.ts";
import type { IpFamily } from "#shared/net/ip-family.ts";
import type { ServicePort } from "./service-ports.ts";

export interface ProxyNetwork {
  readonly family: IpFamily;
  /** Pods' addresses: traffic from elsewhere to a Service is masqueraded. */
  readonly clusterCidr: string;
  /** Those of the command line; ServiceCIDR objects may add to them. */
  readonly serviceCidrs: readonly string[];
  /** Cluster addresses that this board answers itself (its DNS): they get no rules. */
  readonly ownClusterIps: ReadonlySet<string>;
  /** At which of the board's addresses node ports are answered; all unless given. */
  readonly nodePortCidrs?: readonly string[] | undefined;
  /** Node ports are not answered at 127.0.0.1. */
  readonly sparesLoopback?: boolean | undefined;
  /** Endpoints see the board as the client of whatever comes to a Service's address. */
  readonly masqueradesAll?: boolean | undefined;
}

export const withRanges = (network: ProxyNetwork, serviceCidrs = network.serviceCidrs): ProxyNetwork => ({
  ...network,
  serviceCidrs,
});

/** How Service ports of one family are made to work on a board. What a Service promises is in test/services. */
export interface ProxyMode {
  /**
   * Makes these ports work and no others, whatever an earlier run left. Rejects when that is not certain; then the next
   * call finds out what there is.
   * @param serviceCidrs of the network's family: what goes there and to no Service is refused; the network's if absent
   */
  apply(ports: readonly ServicePort[], serviceCidrs?: readonly string[]): Promise<void>;
  /** Does what an earlier run applied work still, as after a restart of the agent alone? */
  isInPlace(): Promise<boolean>;
  /** Rules stay, for the next run. */
  stop(): Promise<void>;
}

/** An address of the board's own on `lo`, on which userspace relays listen; no other machine is asked to know it. */
export const relayAddress: Readonly<Record<IpFamily, string>> = { IPv4: "169.254.43.1", IPv6: "fd43:b4a9::1" };

/** The board's addresses at which a network's node ports are answered. */
export function nodePortIps({ family, nodePortCidrs, sparesLoopback }: ProxyNetwork): string[] {
  const isAmong = (ip: string): boolean => {
    const address = parseCidr(ip);
    return (
      nodePortCidrs?.some((text) => {
        const range = parseCidr(text);
        return range !== undefined && address !== undefined && contains(range, address);
      }) ?? true
    );
  };
  return boardIps(family).filter((ip) => !(sparesLoopback && ip.startsWith("127.")) && isAmong(ip));
}

/** The board's addresses of a family, at which node ports are answered; 127.0.0.1 among them. */
export function boardIps(family: IpFamily): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((each) => each.family === family && each.address !== relayAddress[family] && !/^fe80:/i.test(each.address))
    .map(({ address }) => address);
}
