import { type Chains, type IpSet, type IpSetMap, nameHash, type Rule } from "node-iptables";
import { labelSelectorOrNone } from "#shared/api/selector/label-selector.ts";
import type {
  IPBlock,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from "#shared/api/types/networking-v1.generated.ts";
import { plainForm } from "#shared/board/cidr.ts";
import type { PolicyPod } from "./policy-pod.ts";

/**
 * The chain that all forwarded packets pass, in the table `mangle`: it is over before any table `filter` rule, ours or
 * another's, can accept the packet, and after Services have been translated to pods. What the board itself sends to its
 * pods (kubelet probes) is not forwarded, so it is always allowed, as upstream has it.
 */
export const policyChain = "BRAMBLE-POLICY";
export const isPolicyChain = (name: string): boolean => /^BRAMBLE-(POLICY|IN-[A-Z2-7]+|OUT-[A-Z2-7]+)$/.test(name);
export const isPolicySet = (name: string): boolean => name.startsWith("BRAMBLE-NP");

export type IpFamily = "IPv4" | "IPv6";

export interface PolicyState {
  readonly policies: readonly NetworkPolicy[];
  readonly pods: readonly PolicyPod[];
  /** Labels by namespace. */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

export interface PolicyPlan {
  readonly chains: Chains;
  readonly sets: IpSetMap;
}

type Direction = "ingress" | "egress";

/** Peers with ports of one rule of a policy that are written out one by one. */
const MOST_PAIRS = 64;
const MOST_OF_A_SET = 65_536;

/**
 * Rules and address sets that isolate this board's pods, by the NetworkPolicy API: a pod that no policy selects in a
 * direction is open in it; else what one of them allows passes and the rest is dropped. Replies pass always, and so do
 * connections that were made before a policy forbade them. Pods that the same policies select share their chains. Pure:
 * the same state gives the same plan.
 */
export function planPolicies(state: PolicyState, family: IpFamily): PolicyPlan {
  const draft = new Draft(state, family);
  const jumps: Rule[] = [];
  const local = state.pods.filter(({ isLocal }) => isLocal).sort((a, b) => (a.uid < b.uid ? -1 : 1));
  for (const pod of local) {
    const ingress = draft.chainFor(pod, "ingress");
    const egress = draft.chainFor(pod, "egress");
    if (ingress === undefined && egress === undefined) continue;
    for (const ip of ofFamily(family, pod.ips)) {
      // A pod cannot be kept from itself, by its own Service for instance.
      jumps.push(["-s", ip, "-d", ip, "-j", "RETURN"]);
      if (egress) jumps.push(["-s", ip, "-j", egress]);
      if (ingress) jumps.push(["-d", ip, "-j", ingress]);
    }
  }
  return {
    chains: new Map([...draft.chains, [policyChain, jumps.length === 0 ? [] : [...alwaysOpen[family], ...jumps]]]),
    sets: draft.sets,
  };
}

const established: Rule = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "RETURN"];

/**
 * What no policy forbids. Pods of one bridge ask each other for their link addresses, in IPv6 by ICMP: these packets pass
 * iptables on bridges as any other, belong to no connection, and without them no connection is made (RFC 4890, 4.3.1;
 * ARP is not seen by iptables).
 */
const alwaysOpen: Readonly<Record<IpFamily, readonly Rule[]>> = {
  IPv4: [established],
  IPv6: [
    established,
    ...["neighbour-solicitation", "neighbour-advertisement"].map(
      (type): Rule => ["-p", "ipv6-icmp", "-m", "icmp6", "--icmpv6-type", type, "-j", "RETURN"],
    ),
  ],
};

/** Which policies select a pod in a direction; none: it is open. */
export function policiesOf(
  pod: Pick<PolicyPod, "namespace" | "labels">,
  policies: readonly NetworkPolicy[],
  direction: Direction,
): NetworkPolicy[] {
  return policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === pod.namespace &&
      hasDirection(spec, direction) &&
      // The field is required upstream: absent on the wire is the empty selector.
      labelSelectorOrNone(spec.podSelector ?? {}).matches(pod.labels),
  );
}

function hasDirection(spec: NetworkPolicy["spec"], direction: Direction): boolean {
  const types = spec.policyTypes ?? ["Ingress", ...(spec.egress?.length ? ["Egress"] : [])];
  return types.includes(direction === "ingress" ? "Ingress" : "Egress");
}

/** One direction's rules of a policy in one form: `peers` are the other side. */
interface DirectedRule {
  readonly peers: readonly NetworkPolicyPeer[];
  readonly ports: readonly NetworkPolicyPort[];
}

function rulesOf({ spec }: NetworkPolicy, direction: Direction): DirectedRule[] {
  return direction === "ingress"
    ? (spec.ingress ?? []).map(({ from = [], ports = [] }) => ({ peers: from, ports }))
    : (spec.egress ?? []).map(({ to = [], ports = [] }) => ({ peers: to, ports }));
}

/** Chains and sets under construction; each is made once however many pods need it. */
class Draft {
  readonly chains = new Map<string, Rule[]>();
  readonly sets = new Map<string, IpSet>();
  private readonly podsByNamespace: ReadonlyMap<string, PolicyPod[]>;

  constructor(
    private readonly state: PolicyState,
    private readonly family: IpFamily,
  ) {
    this.podsByNamespace = Map.groupBy(state.pods, ({ namespace }) => namespace);
  }

  /** The chain that a pod's packets of this direction pass; undefined for a pod that is open. */
  chainFor(pod: PolicyPod, direction: Direction): string | undefined {
    const policies = policiesOf(pod, this.state.policies, direction).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
    if (policies.length === 0) return undefined;
    const name = `BRAMBLE-${direction === "ingress" ? "IN" : "OUT"}-${nameHash(policies.map(nameOf).join(" "))}`;
    if (!this.chains.has(name)) {
      const allowed = policies.flatMap((policy) =>
        rulesOf(policy, direction)
          .flatMap((rule) => this.matches(policy, rule, direction))
          .map((match): Rule => [...match, "-m", "comment", "--comment", nameOf(policy), "-j", "RETURN"]),
      );
      this.chains.set(name, [...allowed, ["-j", "DROP"]]);
    }
    return name;
  }

  /** A rule allows what matches one of its peers and one of its ports; no peers or no ports mean any. */
  private matches(policy: NetworkPolicy, rule: DirectedRule, direction: Direction): string[][] {
    const namespace = policy.metadata.namespace ?? "";
    const { peers: others, ports: doors } = rule;
    // Each peer with each port is a rule of the kernel's: many of both are put into sets.
    const form = Math.max(others.length, 1) * Math.max(doors.length, 1) > MOST_PAIRS ? "gathered" : "single";
    const peers = others.length === 0 ? [[]] : this.peerMatches(namespace, others, direction, form);
    const ports =
      doors.length === 0
        ? [[]]
        : form === "single"
          ? doors.map((port) => this.portMatch(port))
          : this.portMatches(doors);
    return peers.flatMap((peer) => ports.map((port) => [...peer, ...port]));
  }

  private peerMatches(
    namespace: string,
    peers: readonly NetworkPolicyPeer[],
    direction: Direction,
    form: "single" | "gathered",
  ): string[][] {
    const [side, flag] = direction === "ingress" ? ["src", "-s"] : ["dst", "-d"];
    const inSet = (name: string): string[] => ["-m", "set", "--match-set", name, side];
    const selectors = peers.filter(({ ipBlock }) => ipBlock === undefined);
    const blocks = peers.flatMap(({ ipBlock }) => (ipBlock ? this.blocksOf(ipBlock) : []));
    const isPlain = ({ except }: IPBlock): boolean => form === "gathered" && !except?.length;
    const plain = [...new Set(blocks.filter(isPlain).map(({ cidr }) => cidr))];
    return [
      ...(selectors.length > 0 ? [inSet(this.podSet(namespace, selectors))] : []),
      ...chunks(plain, MOST_OF_A_SET / 2).map((part) => inSet(this.netSet(part))),
      ...blocks
        .filter((block) => !isPlain(block))
        .map((block) => (block.except?.length ? inSet(this.blockSet(block)) : [flag, block.cidr])),
    ];
  }

  private blocksOf({ cidr, except = [] }: IPBlock): IPBlock[] {
    return ofFamily(this.family, [cidr]).map((plain) => ({ cidr: plain, except: ofFamily(this.family, except) }));
  }

  private podSet(namespace: string, peers: readonly NetworkPolicyPeer[]): string {
    const identity = peers.map(({ podSelector, namespaceSelector }) => [
      namespaceSelector ? "" : namespace,
      namespaceSelector ?? null,
      podSelector ?? null,
    ]);
    return this.set("hash:ip", JSON.stringify(identity), () =>
      peers.flatMap((peer) => this.peerPods(namespace, peer)).flatMap(({ ips }) => ofFamily(this.family, ips)),
    );
  }

  private peerPods(namespace: string, { podSelector, namespaceSelector }: NetworkPolicyPeer): PolicyPod[] {
    const pods = podSelector ? labelSelectorOrNone(podSelector) : undefined;
    const spaces = namespaceSelector ? labelSelectorOrNone(namespaceSelector) : undefined;
    const chosen = spaces
      ? [...this.state.namespaces].filter(([, labels]) => spaces.matches(labels)).map(([name]) => name)
      : [namespace];
    return chosen.flatMap((name) =>
      (this.podsByNamespace.get(name) ?? []).filter(({ labels }) => pods?.matches(labels) ?? true),
    );
  }

  private netSet(cidrs: readonly string[]): string {
    return this.set("hash:net", JSON.stringify(cidrs), () => cidrs.flatMap(halves));
  }

  /** All of these ports in as many rules as there are protocols, and one for those by name. */
  private portMatches(ports: readonly NetworkPolicyPort[]): string[][] {
    const matches: string[][] = [];
    const numbered = Map.groupBy(
      ports.filter(({ port }) => typeof port === "number"),
      ({ protocol = "TCP" }) => protocol.toLowerCase(),
    );
    for (const [name, own] of numbered) {
      const entries = own.map(({ port, endPort }) => (endPort === undefined ? String(port) : `${port}-${endPort}`));
      const set = this.set("bitmap:port", JSON.stringify([name, entries]), () => entries);
      matches.push(["-p", name, "-m", "set", "--match-set", set, "dst"]);
    }
    const named = ports.filter(({ port }) => typeof port === "string");
    if (named.length > 0) matches.push(this.namedMatch(named));
    const whole = new Set(ports.filter(({ port }) => port === undefined).map(({ protocol = "TCP" }) => protocol));
    for (const protocol of whole) matches.push(this.portMatch({ protocol }));
    return matches;
  }

  private blockSet({ cidr, except = [] }: IPBlock): string {
    return this.set("hash:net", JSON.stringify([cidr, except]), () => {
      const excluded = new Set(except.flatMap(halves));
      return [...halves(cidr).filter((net) => !excluded.has(net)), ...[...excluded].map((net) => `${net} nomatch`)];
    });
  }

  /** A port's number is looked for where the packet ends up: on the pod. A name may mean another number on each pod. */
  private portMatch({ protocol = "TCP", port, endPort }: NetworkPolicyPort): string[] {
    const name = protocol.toLowerCase();
    if (port === undefined) return ["-p", name];
    if (typeof port === "number") {
      return ["-p", name, "-m", name, "--dport", endPort === undefined ? String(port) : `${port}:${endPort}`];
    }
    return this.namedMatch([{ protocol, port }]);
  }

  private namedMatch(ports: readonly NetworkPolicyPort[]): string[] {
    const keyOf = (port: unknown, protocol: string): string => `${protocol}/${port}`;
    const wanted = new Set(ports.map(({ port, protocol = "TCP" }) => keyOf(port, protocol)));
    const set = this.set("hash:ip,port", JSON.stringify([...wanted]), () =>
      this.state.pods.flatMap(({ ips, namedPorts }) =>
        namedPorts
          .filter(({ name, protocol }) => wanted.has(keyOf(name, protocol)))
          .flatMap(({ protocol, port }) =>
            ofFamily(this.family, ips).map((ip) => `${ip},${protocol.toLowerCase()}:${port}`),
          ),
      ),
    );
    return ["-m", "set", "--match-set", set, "dst,dst"];
  }

  private set(type: IpSet["type"], identity: string, entries: () => readonly string[]): string {
    const name = `BRAMBLE-NP${this.family === "IPv6" ? "6" : "4"}-${nameHash(type, identity)}`;
    if (!this.sets.has(name)) this.sets.set(name, { type, family: this.family, entries: new Set(entries()) });
    return name;
  }
}

function chunks<T>(items: readonly T[], length: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / length) }, (_, index) =>
    items.slice(index * length, (index + 1) * length),
  );
}

/** The kernel's sets of networks know no prefix of length 0: two halves stand for it. */
function halves(cidr: string): string[] {
  if (!cidr.endsWith("/0")) return [cidr];
  return cidr.includes(":") ? ["::/1", "8000::/1"] : ["0.0.0.0/1", "128.0.0.0/1"];
}

function nameOf({ metadata }: NetworkPolicy): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** Those of the family, as the kernel's programs are told of them. */
function ofFamily(family: IpFamily, addresses: readonly string[]): string[] {
  return addresses.flatMap((each) => {
    const plain = plainForm(each);
    return plain !== undefined && plain.includes(":") === (family === "IPv6") ? [plain] : [];
  });
}
