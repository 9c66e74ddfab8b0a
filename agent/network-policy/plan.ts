import { type Chains, commentText, type IpSet, type IpSetMap, nameHash, type Rule } from "node-iptables";
import { labelSelectorOrNone } from "#shared/api/selector/label-selector.ts";
import type {
  IPBlock,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from "#shared/api/types/networking-v1.generated.ts";
import { canonicalNetwork, contains, parseCidr } from "#shared/board/cidr.ts";
import { type IpFamily, isIpv6 } from "#shared/net/ip-family.ts";
import { isPortNumber, protocolOf, UsableValues } from "../proxy/usable-values.ts";
import type { PolicyPod } from "./policy-pod.ts";

/**
 * The chain that all forwarded packets pass, in the table `mangle`: it is over before any table `filter` rule, ours or
 * another's, can accept the packet, and after Services have been translated to pods. What the board itself sends to its
 * pods (kubelet probes) is not forwarded, so it is always allowed, as upstream has it.
 */
export const policyChain = "BRAMBLE-POLICY";
export const isPolicyChain = (name: string): boolean => /^BRAMBLE-(POLICY|IN-[A-Z2-7]+|OUT-[A-Z2-7]+)$/.test(name);
export const isPolicySet = (name: string): boolean => name.startsWith("BRAMBLE-NP");

export interface PolicyState {
  readonly policies: readonly NetworkPolicy[];
  readonly pods: readonly PolicyPod[];
  /** Labels by namespace. */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

export interface PolicyPlan {
  readonly chains: Chains;
  readonly sets: IpSetMap;
  /** What of policies cannot be made into rules, in words: it allows nothing. "" when all can. */
  readonly leftOut: string;
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
    for (const ip of draft.addressesOf(pod)) {
      // A pod cannot be kept from itself, by its own Service for instance.
      jumps.push(["-s", ip, "-d", ip, "-j", "RETURN"]);
      if (egress) jumps.push(["-s", ip, "-j", egress]);
      if (ingress) jumps.push(["-d", ip, "-j", ingress]);
    }
  }
  return {
    chains: new Map([...draft.chains, [policyChain, jumps.length === 0 ? [] : [...alwaysOpen[family], ...jumps]]]),
    sets: draft.sets,
    leftOut: draft.leftOut(),
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

/** An ipBlock, in the form in which rules have it. */
interface Block {
  readonly cidr: string;
  readonly except: readonly string[];
}

/** Chains and sets under construction; each is made once however many pods need it. */
class Draft {
  readonly chains = new Map<string, Rule[]>();
  readonly sets = new Map<string, IpSet>();
  private readonly podsByNamespace: ReadonlyMap<string, PolicyPod[]>;
  private readonly addresses = new Map<PolicyPod, readonly string[]>();
  private readonly values: UsableValues;

  constructor(
    private readonly state: PolicyState,
    private readonly family: IpFamily,
  ) {
    this.podsByNamespace = Map.groupBy(state.pods, ({ namespace }) => namespace);
    this.values = new UsableValues(family);
  }

  leftOut(): string {
    return this.values.leftOut();
  }

  /** Those of this family. */
  addressesOf(pod: PolicyPod): readonly string[] {
    let own = this.addresses.get(pod);
    if (!own) {
      own = this.values.addresses(pod.ips, `the address of pod ${pod.namespace}/${pod.name}`);
      this.addresses.set(pod, own);
    }
    return own;
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
          .map((match): Rule => [...match, "-m", "comment", "--comment", commentText(nameOf(policy)), "-j", "RETURN"]),
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
    const ports = doors.length === 0 ? [[]] : this.portMatches(this.usablePorts(policy, doors), form);
    return peers.flatMap((peer) => ports.map((port) => [...peer, ...port]));
  }

  /** What no packet can match is left out: a rule of nothing else then allows nothing, and not everything. */
  private usablePorts(policy: NetworkPolicy, ports: readonly NetworkPolicyPort[]): NetworkPolicyPort[] {
    return ports.filter((each) => {
      const { protocol, port, endPort } = each;
      const isNumber = typeof port === "number";
      const isUsable =
        protocolOf(protocol) !== undefined &&
        (!isNumber || isPortNumber(port)) &&
        (endPort === undefined || (isNumber && isPortNumber(endPort) && endPort >= port));
      if (!isUsable) this.values.leaveOut(`a port ${JSON.stringify(each)} of policy ${nameOf(policy)}`);
      return isUsable;
    });
  }

  private peerMatches(
    namespace: string,
    peers: readonly NetworkPolicyPeer[],
    direction: Direction,
    form: "single" | "gathered",
  ): string[][] {
    const [side, flag] = direction === "ingress" ? ["src", "-s"] : ["dst", "-d"];
    const inSet = (name: string): string[] => ["-m", "set", "--match-set", name, side];
    // A peer that says nothing is none; all pods of the namespace are an empty selector.
    const selectors = peers.filter(
      ({ ipBlock, podSelector, namespaceSelector }) => ipBlock === undefined && (podSelector ?? namespaceSelector),
    );
    const blocks = peers.flatMap(({ ipBlock }) => (ipBlock && this.block(ipBlock)) ?? []);
    const isPlain = ({ except }: Block): boolean => form === "gathered" && except.length === 0;
    const plain = [...new Set(blocks.filter(isPlain).map(({ cidr }) => cidr))];
    return [
      ...(selectors.length > 0 ? [inSet(this.podSet(namespace, selectors))] : []),
      ...chunks(plain, MOST_OF_A_SET / 2).map((part) => inSet(this.netSet(part))),
      ...blocks
        .filter((block) => !isPlain(block))
        .map((block) => (block.except.length > 0 ? inSet(this.blockSet(block)) : [flag, block.cidr])),
    ];
  }

  /** undefined for one of the other family, and for one that cannot be told as it was meant: it allows nothing then. */
  private block({ cidr: text, except: texts = [] }: IPBlock): Block | undefined {
    const cidr = this.values.network(text, "the block");
    if (cidr === undefined) return undefined;
    const except = texts.flatMap((each) => canonicalNetwork(each) ?? []).filter((each) => isWithin(each, cidr));
    if (except.length === texts.length && except.length < MOST_OF_A_SET / 2) return { cidr, except };
    this.values.leaveOut(`the block ${cidr} for what it excepts`);
    return undefined;
  }

  private podSet(namespace: string, peers: readonly NetworkPolicyPeer[]): string {
    const identity = peers.map(({ podSelector, namespaceSelector }) => [
      namespaceSelector ? "" : namespace,
      namespaceSelector ?? null,
      podSelector ?? null,
    ]);
    return this.set("hash:ip", JSON.stringify(identity), () =>
      peers.flatMap((peer) => this.peerPods(namespace, peer)).flatMap((pod) => this.addressesOf(pod)),
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

  private portMatches(ports: readonly NetworkPolicyPort[], form: "single" | "gathered"): string[][] {
    return form === "single" ? ports.map((port) => this.portMatch(port)) : this.gatheredPorts(ports);
  }

  /** All of these ports in as many rules as there are protocols, and one for those by name. */
  private gatheredPorts(ports: readonly NetworkPolicyPort[]): string[][] {
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

  private blockSet({ cidr, except }: Block): string {
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
      this.state.pods.flatMap((pod) =>
        pod.namedPorts
          .filter(({ name, protocol, port }) => wanted.has(keyOf(name, protocol)) && isPortNumber(port))
          .flatMap(({ protocol, port }) =>
            this.addressesOf(pod).map((ip) => `${ip},${protocol.toLowerCase()}:${port}`),
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

function isWithin(inner: string, outer: string): boolean {
  const [part, whole] = [parseCidr(inner), parseCidr(outer)];
  return part !== undefined && whole !== undefined && contains(whole, part) && part.prefix >= whole.prefix;
}

function chunks<T>(items: readonly T[], length: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / length) }, (_, index) =>
    items.slice(index * length, (index + 1) * length),
  );
}

/** The kernel's sets of networks know no prefix of length 0: two halves stand for it. */
function halves(cidr: string): string[] {
  if (!cidr.endsWith("/0")) return [cidr];
  return isIpv6(cidr) ? ["::/1", "8000::/1"] : ["0.0.0.0/1", "128.0.0.0/1"];
}

function nameOf({ metadata }: NetworkPolicy): string {
  return `${metadata.namespace}/${metadata.name}`;
}
