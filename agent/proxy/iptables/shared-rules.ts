import type { Iptables, Rule, Ruleset } from "node-iptables";
import type { ProxyNetwork } from "../proxy-mode.ts";
import { comment, type PortRules, serviceMark } from "./port-rules.ts";

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

/** Those of the userspace mode, whose chain is KUBE-PORTALS. They match by nothing but what every kernel can. */
export const userspaceHooks: readonly ProxyHook[] = ["PREROUTING", "OUTPUT"].map((chain) => ({
  table: "nat",
  chain,
  rule: ["-j", "KUBE-PORTALS"],
}));

export async function removeHooks(iptables: Iptables, hooks: readonly ProxyHook[]): Promise<void> {
  for (const { table, chain, rule } of hooks) await iptables.removeRule(table, chain, rule);
}

/** Is a chain one of this proxy's? What a former run left is recognised by it. */
export function isProxyChain(name: string): boolean {
  return /^KUBE-(SERVICES|EXTERNAL-SERVICES|NODEPORTS|POSTROUTING|MARK-MASQ|FORWARD|FIREWALL|PROXY-FIREWALL|PORTALS|SCTP-PROBE|SVC-.+|SVL-.+|SEP-.+|EXT-.+|FW-.+)$/.test(
    name,
  );
}

/** The chains in which every Service port has its place, those that are there once, and the own chains of some ports: of
 *  those that matter to a comparison. */
export function serviceRules(
  ports: readonly PortRules[],
  network: ProxyNetwork,
  withChainsOf: Iterable<PortRules> = ports,
): Ruleset {
  return {
    nat: new Map([
      ["KUBE-MARK-MASQ", [["-j", "MARK", "--or-mark", serviceMark]]],
      ...[...withChainsOf].flatMap(({ chains }) => [...chains]),
      ["KUBE-NODEPORTS", ports.flatMap(({ nodePorts }) => nodePorts)],
      ["KUBE-SERVICES", [...ports.flatMap(({ services }) => services), ...toNodePorts(network)]],
      ["KUBE-POSTROUTING", postroutingRules()],
    ]),
    filter: new Map([
      ["KUBE-SERVICES", [...ports.flatMap(({ refused }) => refused), ...noSuchService(network)]],
      ["KUBE-EXTERNAL-SERVICES", ports.flatMap(({ externallyRefused }) => externallyRefused)],
      ["KUBE-PROXY-FIREWALL", ports.flatMap(({ firewall }) => firewall)],
      ["KUBE-FIREWALL", [...localnetRules(network), ...patientDnsRules(network)]],
      ["KUBE-FORWARD", forwardRules()],
    ]),
  };
}

/** The kernel leads nothing from ::1 elsewhere, so what listens there itself keeps being reached, as with kube-proxy. */
function toNodePorts({ family, nodePortCidrs, sparesLoopback }: ProxyNetwork): Rule[] {
  const local = [
    ...comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain"),
    ...["-m", "addrtype", "--dst-type", "LOCAL"],
  ];
  const jump = ["-j", "KUBE-NODEPORTS"];
  if (nodePortCidrs) return nodePortCidrs.map((cidr) => [...local, "-d", cidr, ...jump]);
  const spared = family === "IPv6" ? ["::1/128"] : sparesLoopback ? ["127.0.0.0/8"] : [];
  return [[...local, ...spared.flatMap((cidr) => ["!", "-d", cidr]), ...jump]];
}

/** What still goes to a service range after nat belongs to no Service: say so at once, send it nowhere. */
const noSuchService = (network: ProxyNetwork): Rule[] =>
  network.serviceCidrs.map((cidr) => [
    ...comment("no such service"),
    "-d",
    cidr,
    ...exceptions(network),
    "-j",
    "REJECT",
  ]);

function postroutingRules(): Rule[] {
  return [
    ["-m", "mark", "!", "--mark", `${serviceMark}/${serviceMark}`, "-j", "RETURN"],
    // The packet may pass here again through a tunnel.
    ["-j", "MARK", "--xor-mark", serviceMark],
    [...comment("kubernetes service traffic requiring SNAT"), "-j", "MASQUERADE", "--random-fully"],
  ];
}

function forwardRules(): Rule[] {
  return [
    ["-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"],
    [
      ...comment("kubernetes forwarding rules"),
      "-m",
      "mark",
      "--mark",
      `${serviceMark}/${serviceMark}`,
      "-j",
      "ACCEPT",
    ],
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

/** While the agent starts anew, who asks its DNS is not told that nobody listens, so that it asks again and not elsewhere. */
function patientDnsRules({ family, ownClusterIps }: ProxyNetwork): Rule[] {
  const [protocol, option] = family === "IPv6" ? ["ipv6-icmp", "--icmpv6-type"] : ["icmp", "--icmp-type"];
  return [...ownClusterIps].map((ip) => [
    ...comment("the board's DNS is patient"),
    "-s",
    ip,
    "-p",
    protocol,
    ...(family === "IPv6" ? ["-m", "icmp6"] : ["-m", "icmp"]),
    option,
    "port-unreachable",
    "-j",
    "DROP",
  ]);
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
