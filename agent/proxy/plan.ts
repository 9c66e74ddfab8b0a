import { nameHash, type Rule, type Ruleset } from "node-iptables";
import type { Endpoint, IpFamily, ServicePort } from "./service-ports.ts";

export interface ProxyNetwork {
  readonly family: IpFamily;
  /** Pods' addresses: traffic from elsewhere to a Service is masqueraded. */
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  /** Cluster addresses that this board answers itself (its DNS): they get no rules. */
  readonly ownClusterIps: ReadonlySet<string>;
}

/** kube-proxy's mark for "masquerade when it leaves". */
const mark = "0x4000";

const comment = (text: string): string[] => ["-m", "comment", "--comment", text];
const match = (protocol: string, port: number): string[] => {
  const name = protocol.toLowerCase();
  return ["-p", name, "-m", name, "--dport", String(port)];
};
const host = (ip: string): string => (ip.includes(":") ? `${ip}/128` : `${ip}/32`);

/** A jump from a built-in chain to one of ours. */
export interface ProxyHook {
  readonly table: "nat" | "filter";
  readonly chain: string;
  readonly rule: Rule;
}

const onlyNew = ["-m", "conntrack", "--ctstate", "NEW"];
const hook = (
  table: ProxyHook["table"],
  chain: string,
  target: string,
  text: string,
  when: readonly string[] = [],
): ProxyHook => ({
  table,
  chain,
  rule: [...when, ...comment(text), "-j", target],
});

/** Put in at the top of their chains, one after the other: the last of a chain comes first. */
export const proxyHooks: readonly ProxyHook[] = [
  ...["PREROUTING", "OUTPUT"].map((chain) => hook("nat", chain, "KUBE-SERVICES", "kubernetes service portals")),
  hook("nat", "POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules"),
  ...["FORWARD", "OUTPUT"].map((chain) =>
    hook("filter", chain, "KUBE-SERVICES", "kubernetes service portals", onlyNew),
  ),
  ...["INPUT", "FORWARD"].map((chain) =>
    hook("filter", chain, "KUBE-EXTERNAL-SERVICES", "kubernetes externally-visible service portals", onlyNew),
  ),
  hook("filter", "FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules"),
  ...["INPUT", "FORWARD", "OUTPUT"].map((chain) =>
    hook("filter", chain, "KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", onlyNew),
  ),
  ...["INPUT", "OUTPUT"].map((chain) => hook("filter", chain, "KUBE-FIREWALL", "kubernetes localnet firewall")),
];

/** Is a chain one of this proxy's? What a former run left is recognised by it. */
export function isProxyChain(name: string): boolean {
  return /^KUBE-(SERVICES|EXTERNAL-SERVICES|NODEPORTS|POSTROUTING|MARK-MASQ|FORWARD|FIREWALL|PROXY-FIREWALL|SVC-.+|SVL-.+|SEP-.+|EXT-.+|FW-.+)$/.test(
    name,
  );
}

/** The chains under construction. */
interface Draft {
  readonly nat: Map<string, Rule[]>;
  readonly services: Rule[];
  readonly nodePorts: Rule[];
  readonly refused: Rule[];
  readonly externallyRefused: Rule[];
  readonly firewall: Rule[];
}

/**
 * All rules for the given Service ports, with the chain names of kube-proxy's iptables mode. Pure: the same input gives
 * the same text. Services that share an endpoint have chains of their own for it, since affinity belongs to a Service.
 */
export function planServiceRules(ports: readonly ServicePort[], network: ProxyNetwork): Ruleset {
  const draft: Draft = {
    nat: new Map(),
    services: [],
    nodePorts: [],
    refused: [],
    externallyRefused: [],
    firewall: [],
  };
  for (const port of ports) {
    if (network.ownClusterIps.has(port.clusterIp)) continue;
    for (const [chain, rules] of balancersOf(port, network)) draft.nat.set(chain, rules);
    addInternal(draft, port);
    addExternal(draft, port, network);
    draft.firewall.push(...firewallRules(port));
  }
  draft.services.push([
    ...comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain"),
    "-m",
    "addrtype",
    "--dst-type",
    "LOCAL",
    "-j",
    "KUBE-NODEPORTS",
  ]);
  // What still goes to the service range after nat belongs to no Service: say so at once, send it nowhere.
  draft.refused.push([
    ...comment("no such service"),
    "-d",
    network.serviceCidr,
    ...exceptions(network),
    "-j",
    "REJECT",
  ]);
  return {
    nat: new Map([
      ...draft.nat,
      ["KUBE-SERVICES", draft.services],
      ["KUBE-NODEPORTS", draft.nodePorts],
      ["KUBE-MARK-MASQ", [["-j", "MARK", "--or-mark", mark]]],
      ["KUBE-POSTROUTING", postroutingRules()],
    ]),
    filter: new Map([
      ["KUBE-SERVICES", draft.refused],
      ["KUBE-EXTERNAL-SERVICES", draft.externallyRefused],
      ["KUBE-PROXY-FIREWALL", draft.firewall],
      ["KUBE-FIREWALL", localnetRules(network)],
      ["KUBE-FORWARD", forwardRules()],
    ]),
  };
}

/** The chains of a port's endpoints, by far the most: made once for each ServicePort, which is never changed. */
const balancers = new WeakMap<ServicePort, { readonly network: ProxyNetwork; readonly chains: Map<string, Rule[]> }>();

function balancersOf(port: ServicePort, network: ProxyNetwork): ReadonlyMap<string, Rule[]> {
  const known = balancers.get(port);
  if (known?.network === network) return known.chains;
  const chains = new Map<string, Rule[]>();
  addBalancers(chains, port, network);
  balancers.set(port, { network, chains });
  return chains;
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
    host(port.clusterIp),
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
    host(ip),
  ]);
  const nodePort = port.nodePort === undefined ? undefined : match(port.protocol, port.nodePort);
  if (port.hasAnyEndpoint) {
    draft.nat.set(names.external, externalRules(port, names, network));
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

function postroutingRules(): Rule[] {
  return [
    ["-m", "mark", "!", "--mark", `${mark}/${mark}`, "-j", "RETURN"],
    // The packet may pass here again through a tunnel.
    ["-j", "MARK", "--xor-mark", mark],
    [...comment("kubernetes service traffic requiring SNAT"), "-j", "MASQUERADE", "--random-fully"],
  ];
}

function forwardRules(): Rule[] {
  return [
    ["-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"],
    [...comment("kubernetes forwarding rules"), "-m", "mark", "--mark", `${mark}/${mark}`, "-j", "ACCEPT"],
    [
      ...comment("kubernetes forwarding conntrack rule"),
      "-m",
      "conntrack",
      "--ctstate",
      "RELATED,ESTABLISHED",
      "-j",
      "ACCEPT",
    ],
  ];
}

/** The board's own cluster addresses are local: a host process that asks its DNS passes OUTPUT. */
function exceptions(network: ProxyNetwork): string[] {
  return network.ownClusterIps.size > 0 ? ["-m", "addrtype", "!", "--dst-type", "LOCAL"] : [];
}

/** Node ports answer on 127.0.0.1 too, for which the kernel routes 127/8; nobody else may come in by that (CVE-2020-8558). */
function localnetRules(network: ProxyNetwork): Rule[] {
  if (network.family === "IPv6") return [];
  return [
    [
      ...comment("block incoming localnet connections"),
      "-d",
      "127.0.0.0/8",
      "!",
      "-s",
      "127.0.0.0/8",
      "-m",
      "conntrack",
      "!",
      "--ctstate",
      "RELATED,ESTABLISHED,DNAT",
      "-j",
      "DROP",
    ],
  ];
}

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
    const address = endpoint.ip.includes(":") ? `[${endpoint.ip}]:${endpoint.port}` : `${endpoint.ip}:${endpoint.port}`;
    return { address, endpoint, name: `KUBE-SEP-${nameHash(port.id, port.protocol.toLowerCase(), address)}` };
  });
  const rules: Rule[] = [];
  if (chain.startsWith("KUBE-SVC-")) {
    rules.push([
      ...comment(`${port.id} cluster IP`),
      "!",
      "-s",
      network.clusterCidr,
      ...match(port.protocol, port.port),
      "-d",
      host(port.clusterIp),
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
  nat.set(chain, rules);
  for (const { name, address, endpoint } of targets) {
    const remember = affinity_s === undefined ? [] : ["-m", "recent", "--name", name, "--set"];
    const protocol = port.protocol.toLowerCase();
    nat.set(name, [
      // Hairpin: a pod that reaches itself through its Service must see another source.
      [...comment(port.id), "-s", host(endpoint.ip), "-j", "KUBE-MARK-MASQ"],
      [...comment(port.id), ...remember, "-p", protocol, "-m", protocol, "-j", "DNAT", "--to-destination", address],
    ]);
  }
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
