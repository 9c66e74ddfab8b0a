import { createHash } from "node:crypto";
import { baseAddress, type Cidr, canonicalAddress, canonicalNetwork, contains, parseCidr } from "#shared/board/cidr.ts";
import { familyOf, type IpFamily } from "#shared/net/ip-family.ts";

/** What is read of a Kubernetes Node; any Node fits. */
export interface RoutedNode {
  readonly metadata?: { readonly name?: string | undefined } | undefined;
  readonly spec?:
    | { readonly podCIDR?: string | undefined; readonly podCIDRs?: readonly string[] | undefined }
    | undefined;
  readonly status?:
    | {
        readonly addresses?:
          | readonly { readonly type?: string | undefined; readonly address?: string | undefined }[]
          | undefined;
      }
    | undefined;
}

/** This board: its node's name and what its interfaces are. */
export interface BoardNetwork {
  readonly nodeName: string;
  /** The cluster's first family, by which boards reach each other; IPv4 if absent. */
  readonly family?: IpFamily | undefined;
  readonly interfaces: readonly BoardInterface[];
}

export interface BoardInterface {
  readonly name: string;
  /** `192.168.1.5/24` and the like. */
  readonly addresses: readonly string[];
  readonly mtu: number;
}

export interface PlannedRoute {
  readonly cidr: string;
  readonly via: string;
  readonly device: string;
  /** Through the tunnel: the next hop is in no subnet of the device. */
  readonly onlink: boolean;
}

/** The other end of the tunnel, once for each of a node's pod CIDRs. */
export interface TunnelPeer {
  readonly gateway: string;
  readonly mac: string;
  readonly nodeAddress: string;
}

export interface Tunnel {
  readonly localAddress: string;
  readonly parentDevice: string;
  /** What fits into a packet of the parent beside the tunnel's own headers. */
  readonly mtu: number;
  readonly mac: string;
  /** Own addresses in it, one for each pod CIDR of this board. */
  readonly addresses: readonly string[];
  readonly peers: readonly TunnelPeer[];
}

export interface RoutePlan {
  readonly routes: readonly PlannedRoute[];
  readonly tunnel: Tunnel | undefined;
  /** Nodes that cannot be reached, and why; for the operator. */
  readonly problems: readonly string[];
}

export const tunnelDevice = "bramble.vxlan";
export const tunnelId = 4242;
export const tunnelPort = 8472;

/** Headers of VXLAN, by the bits of the outer addresses: Ethernet, IP, UDP, VXLAN. */
const tunnelOverhead_bytes = { 32: 50, 128: 70 } as const;

/** Bridges and tunnels of containers hold no other board, whatever subnets they have. */
export const containerInterface = /^(lo|docker|br-|veth|cni|virbr|flannel|cali|kube|tunl|bramble)/;

/**
 * How this board reaches the pods of all others: by a host route where the other board is in a subnet of one of our
 * interfaces, else through a VXLAN tunnel. Both ends come to the same answer when their subnets have the same length.
 * Pure: equal input, equal plan, in the order of node names.
 */
export function planRoutes(nodes: readonly RoutedNode[], self: BoardNetwork): RoutePlan {
  const routes: PlannedRoute[] = [];
  const peers: TunnelPeer[] = [];
  const problems: string[] = [];
  const subnets = subnetsOf(self.interfaces);
  const own = nodes.find((node) => node.metadata?.name === self.nodeName);
  const family = self.family ?? "IPv4";
  const isOfTunnel = (address: string): boolean => familyOf(address) === family;
  const end = own === undefined ? undefined : tunnelEnd(internalAddresses(own).filter(isOfTunnel), subnets);
  const others = nodes.filter((node) => node.metadata?.name !== self.nodeName);
  for (const node of others.sort((a, b) => nameOf(a).localeCompare(nameOf(b)))) {
    const cidrs = podCidrsOf(node);
    // A route that no program takes would keep all others from being set.
    for (const text of saidCidrs(node))
      if (canonicalNetwork(text) === undefined) problems.push(`pods of node ${nameOf(node)}: ${text} is no network`);
    const addresses = internalAddresses(node);
    // Without a pod CIDR it has no pods yet; without an address it has not joined yet.
    if (cidrs.length === 0 || addresses.length === 0) continue;
    for (const cidr of cidrs) {
      const direct = directRoute(cidr, addresses, subnets);
      const nodeAddress = addresses.find(isOfTunnel);
      if (direct !== undefined) routes.push(direct);
      else if (end === undefined || nodeAddress === undefined) {
        problems.push(
          `pods of node ${nameOf(node)} (${cidr}): no common subnet, and no ${family} address for a tunnel`,
        );
      } else {
        const gateway = baseAddress(cidr);
        peers.push({ gateway, mac: macOf(nodeAddress), nodeAddress });
        routes.push({ cidr, via: gateway, device: tunnelDevice, onlink: true });
      }
    }
  }
  if (end === undefined || own === undefined || peers.length === 0) return { routes, tunnel: undefined, problems };
  const addresses = podCidrsOf(own).map(baseAddress);
  return { routes, problems, tunnel: { ...end, mac: macOf(end.localAddress), addresses, peers } };
}

interface Subnet {
  readonly device: string;
  readonly cidr: Cidr;
  readonly address: string;
  readonly mtu: number;
}

function subnetsOf(interfaces: readonly BoardInterface[]): Subnet[] {
  return interfaces
    .filter(({ name }) => !containerInterface.test(name))
    .flatMap(({ name, addresses, mtu }) =>
      addresses.flatMap((address) => {
        const cidr = parseCidr(address);
        return cidr === undefined ? [] : [{ device: name, cidr, address: baseAddress(address), mtu }];
      }),
    );
}

function directRoute(cidr: string, addresses: readonly string[], subnets: readonly Subnet[]): PlannedRoute | undefined {
  const sameFamily = addresses.filter((address) => familyOf(address) === familyOf(cidr));
  for (const via of sameFamily) {
    const next = parseCidr(via);
    const subnet = next === undefined ? undefined : subnets.find(({ cidr: subnet }) => contains(subnet, next));
    if (subnet !== undefined) return { cidr, via, device: subnet.device, onlink: false };
  }
  return undefined;
}

function tunnelEnd(
  addresses: readonly string[],
  subnets: readonly Subnet[],
): Pick<Tunnel, "localAddress" | "parentDevice" | "mtu"> | undefined {
  for (const address of addresses) {
    const subnet = subnets.find((candidate) => candidate.address === address);
    if (subnet === undefined) continue;
    const mtu = subnet.mtu - tunnelOverhead_bytes[subnet.cidr.bits];
    return { localAddress: address, parentDevice: subnet.device, mtu };
  }
  return undefined;
}

/** A locally administered MAC that every board computes alike from a node's address, so that none is announced. */
function macOf(nodeAddress: string): string {
  const digest = createHash("sha256").update(`bramble vxlan ${nodeAddress}`).digest();
  const bytes = [0x0a, ...digest.subarray(0, 5)];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** The networks of a node's pods, each in its one form; what is none is left out. */
export const podCidrsOf = (node: RoutedNode): string[] =>
  saidCidrs(node).flatMap((text) => canonicalNetwork(text) ?? []);

function saidCidrs({ spec }: RoutedNode): readonly string[] {
  if (spec?.podCIDRs?.length) return spec.podCIDRs;
  return spec?.podCIDR ? [spec.podCIDR] : [];
}

function internalAddresses({ status }: RoutedNode): string[] {
  return (status?.addresses ?? []).flatMap(({ type, address = "" }) =>
    type === "InternalIP" ? (canonicalAddress(address) ?? []) : [],
  );
}

function nameOf(node: RoutedNode): string {
  return node.metadata?.name ?? "";
}
