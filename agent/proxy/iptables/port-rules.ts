import { commentText, nameHash, type Rule } from "node-iptables";
import { hostPort } from "#shared/http/host-port.ts";
import { hostNetwork } from "#shared/net/ip-family.ts";
import type { ProxyNetwork } from "../proxy-mode.ts";
import type { Endpoint, ServicePort } from "../service-ports.ts";

/** kube-proxy's mark for "masquerade when it leaves". */
export const serviceMark = "0x4000";

export const comment = (text: string): string[] => ["-m", "comment", "--comment", commentText(text)];
const match = (protocol: string, port: number): string[] => {
  const name = protocol.toLowerCase();
  return ["-p", name, "-m", name, "--dport", String(port)];
};

/** The rules of one Service port: chains of its own, and what it adds to the chains that all share. */
export interface PortRules {
  /** In the table nat, each after those to which it jumps. */
  readonly chains: ReadonlyMap<string, readonly Rule[]>;
  readonly services: readonly Rule[];
  readonly nodePorts: readonly Rule[];
  readonly refused: readonly Rule[];
  readonly externallyRefused: readonly Rule[];
  readonly firewall: readonly Rule[];
}

/** Under construction. */
interface Draft {
  readonly chains: Map<string, Rule[]>;
  readonly services: Rule[];
  readonly nodePorts: Rule[];
  readonly refused: Rule[];
  readonly externallyRefused: Rule[];
  readonly firewall: Rule[];
}

/**
 * A Service port's rules with the chain names of kube-proxy's iptables mode. Pure: the same port gives the same rules.
 * Services that share an endpoint have chains of their own for it, since affinity belongs to a Service.
 */
export function portRules(port: ServicePort, network: ProxyNetwork): PortRules {
  const draft: Draft = {
    chains: new Map(),
    services: [],
    nodePorts: [],
    refused: [],
    externallyRefused: [],
    firewall: firewallRules(port),
  };
  addBalancers(draft.chains, port, network);
  addInternal(draft, port);
  addExternal(draft, port, network);
  return draft;
}

function addBalancers(nat: Map<string, Rule[]>, port: ServicePort, network: ProxyNetwork): void {
  const names = chainNames(port);
  const wantsLocal = port.internalLocal || (port.externalLocal && isReachedFromOutside(port));
  if (port.clusterEndpoints.length > 0) addBalancer(nat, names.cluster, port, network, port.clusterEndpoints);
  if (wantsLocal && port.localEndpoints.length > 0) addBalancer(nat, names.local, port, network, port.localEndpoints);
}

function addInternal(draft: Draft, port: ServicePort): void {
  const names = chainNames(port);
  const endpoints = port.internalLocal ? port.localEndpoints : port.clusterEndpoints;
  const toClusterIp = [
    ...comment(`${port.id} cluster IP`),
    ...match(port.protocol, port.port),
    "-d",
    hostNetwork(port.clusterIp),
  ];
  if (endpoints.length > 0)
    draft.services.push([...toClusterIp, "-j", port.internalLocal ? names.local : names.cluster]);
  else draft.refused.push([...toClusterIp, "-j", refusal(port)]);
}

function addExternal(draft: Draft, port: ServicePort, network: ProxyNetwork): void {
  if (!isReachedFromOutside(port)) return;
  const names = chainNames(port);
  const entrances = [...port.externalIps, ...port.loadBalancerIps].map((ip) => [
    ...match(port.protocol, port.port),
    "-d",
    hostNetwork(ip),
  ]);
  const nodePort = port.nodePort === undefined ? undefined : match(port.protocol, port.nodePort);
  if (port.hasAnyEndpoint) {
    draft.chains.set(names.external, externalRules(port, names, network));
    for (const entrance of entrances) {
      draft.services.push([...comment(`${port.id} external IP`), ...entrance, "-j", names.external]);
    }
    if (nodePort) draft.nodePorts.push([...comment(port.id), ...nodePort, "-j", names.external]);
  }
  const endpoints = port.externalLocal ? port.localEndpoints : port.clusterEndpoints;
  if (endpoints.length > 0) return;
  const why = comment(`${port.id} has no ${port.hasAnyEndpoint ? "local " : ""}endpoints`);
  for (const entrance of entrances) draft.externallyRefused.push([...why, ...entrance, "-j", refusal(port)]);
  if (nodePort) {
    draft.externallyRefused.push([...why, "-m", "addrtype", "--dst-type", "LOCAL", ...nodePort, "-j", refusal(port)]);
  }
}

const isReachedFromOutside = (port: ServicePort): boolean =>
  port.nodePort !== undefined || port.externalIps.length > 0 || port.loadBalancerIps.length > 0;

/** A Service with endpoints elsewhere only is silent here, so that a load balancer tries another board. */
const refusal = (port: ServicePort): "DROP" | "REJECT" => (port.hasAnyEndpoint ? "DROP" : "REJECT");

interface ChainNames {
  readonly cluster: string;
  readonly local: string;
  readonly external: string;
}

function chainNames(port: ServicePort): ChainNames {
  const hash = nameHash(port.id, port.protocol.toLowerCase());
  return { cluster: `KUBE-SVC-${hash}`, local: `KUBE-SVL-${hash}`, external: `KUBE-EXT-${hash}` };
}

/** Picks one of the endpoints, the client's last one first where affinity is asked for. */
function addBalancer(
  nat: Map<string, Rule[]>,
  chain: string,
  port: ServicePort,
  network: ProxyNetwork,
  endpoints: readonly Endpoint[],
): void {
  const targets = endpoints.map((endpoint) => {
    const address = hostPort(endpoint.ip, endpoint.port);
    return { address, endpoint, name: `KUBE-SEP-${nameHash(port.id, port.protocol.toLowerCase(), address)}` };
  });
  const rules: Rule[] = [];
  if (chain.startsWith("KUBE-SVC-")) {
    rules.push([
      ...comment(`${port.id} cluster IP`),
      ...(network.masqueradesAll ? [] : ["!", "-s", network.clusterCidr]),
      ...match(port.protocol, port.port),
      "-d",
      hostNetwork(port.clusterIp),
      "-j",
      "KUBE-MARK-MASQ",
    ]);
  }
  const { affinity_s } = port;
  if (affinity_s !== undefined) {
    for (const { name, address } of targets) {
      rules.push([
        ...comment(`${port.id} -> ${address}`),
        "-m",
        "recent",
        "--name",
        name,
        "--rcheck",
        "--seconds",
        String(affinity_s),
        "--reap",
        "-j",
        name,
      ]);
    }
  }
  targets.forEach(({ name, address }, index) => {
    const remaining = targets.length - index;
    const share =
      remaining > 1 ? ["-m", "statistic", "--mode", "random", "--probability", (1 / remaining).toFixed(10)] : [];
    rules.push([...comment(`${port.id} -> ${address}`), ...share, "-j", name]);
  });
  for (const { name, address, endpoint } of targets) {
    const remember = affinity_s === undefined ? [] : ["-m", "recent", "--name", name, "--set"];
    const protocol = port.protocol.toLowerCase();
    nat.set(name, [
      // Hairpin: a pod that reaches itself through its Service must see another source.
      [...comment(port.id), "-s", hostNetwork(endpoint.ip), "-j", "KUBE-MARK-MASQ"],
      [...comment(port.id), ...remember, "-p", protocol, "-m", protocol, "-j", "DNAT", "--to-destination", address],
    ]);
  }
  nat.set(chain, rules);
}

function externalRules(port: ServicePort, names: ChainNames, network: ProxyNetwork): Rule[] {
  if (!port.externalLocal) {
    return [
      [...comment(`masquerade traffic for ${port.id} external destinations`), "-j", "KUBE-MARK-MASQ"],
      ["-j", names.cluster],
    ];
  }
  const rules: Rule[] = [];
  if (port.clusterEndpoints.length > 0) {
    rules.push(
      // Pods and the board itself are inside: for them the policy does not apply.
      [...comment(`pod traffic for ${port.id} external destinations`), "-s", network.clusterCidr, "-j", names.cluster],
      [
        ...comment(`masquerade LOCAL traffic for ${port.id} external destinations`),
        "-m",
        "addrtype",
        "--src-type",
        "LOCAL",
        "-j",
        "KUBE-MARK-MASQ",
      ],
      [
        ...comment(`route LOCAL traffic for ${port.id} external destinations`),
        "-m",
        "addrtype",
        "--src-type",
        "LOCAL",
        "-j",
        names.cluster,
      ],
    );
  }
  if (port.localEndpoints.length > 0) rules.push(["-j", names.local]);
  return rules;
}

/** loadBalancerSourceRanges: only these may use the load balancer's addresses. */
function firewallRules(port: ServicePort): Rule[] {
  if (port.loadBalancerSourceRanges.length === 0) return [];
  // In the filter table the packet is already translated; conntrack knows what the client asked for.
  return port.loadBalancerIps
    .map((ip) => {
      const asked = ["-m", "conntrack", "--ctorigdst", ip, "--ctorigdstport", String(port.port)];
      const allowed = port.loadBalancerSourceRanges.map(
        (range): Rule => ["-p", port.protocol.toLowerCase(), ...asked, "-s", range, "-j", "RETURN"],
      );
      return {
        allowed,
        drop: [
          "-p",
          port.protocol.toLowerCase(),
          ...asked,
          ...comment(`${port.id} traffic not accepted`),
          "-j",
          "DROP",
        ],
      };
    })
    .flatMap(({ allowed, drop }) => [...allowed, drop]);
}
