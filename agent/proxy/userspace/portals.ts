import { nameHash, type Rule, type Ruleset } from "node-iptables";
import { hostPort } from "#shared/http/host-port.ts";
import { type ProxyNetwork, relayAddress } from "../proxy-mode.ts";
import type { Endpoint, ServicePort } from "../service-ports.ts";

/** Nothing listens there: who is sent to it is refused by the kernel. */
const closedPort = 1;

export type RelayProtocol = "TCP" | "UDP";

/** What one relay does: connections that come to it go on to one of these endpoints. */
export interface RelayPlan {
  /** Names the relay for as long as its Service port is there. */
  readonly key: string;
  readonly id: string;
  readonly protocol: RelayProtocol;
  readonly endpoints: readonly Endpoint[];
  /** For clients inside the cluster, to whom an external traffic policy does not apply. */
  readonly endpointsForInside: readonly Endpoint[];
  readonly affinity_s: number | undefined;
  /** Who may come; empty: everybody. */
  readonly sourceRanges: readonly string[];
}

/** An address at which clients find a Service, and the relay that is behind it; none: they are refused. */
export interface Portal {
  readonly ip: string;
  readonly port: number;
  readonly protocol: RelayProtocol;
  readonly relay: string | undefined;
}

export interface UserspacePlan {
  readonly relays: readonly RelayPlan[];
  readonly portals: readonly Portal[];
}

/** Which relays and which portals make these ports work. `boardIps`: where node ports are answered. */
export function planPortals(ports: readonly ServicePort[], boardIps: readonly string[]): UserspacePlan {
  const relays: RelayPlan[] = [];
  const portals: Portal[] = [];
  for (const port of ports) {
    const { protocol } = port;
    // The relays speak what the agent can: there is no SCTP in it.
    if (protocol === "SCTP") continue;
    const add = (kind: string, plan: Partial<RelayPlan>, entrances: readonly Omit<Portal, "protocol" | "relay">[]) => {
      const endpoints = plan.endpoints ?? port.clusterEndpoints;
      const relay: RelayPlan = {
        key: `${port.id}|${protocol}|${kind}`,
        id: port.id,
        protocol,
        endpoints,
        endpointsForInside: port.clusterEndpoints,
        affinity_s: port.affinity_s,
        sourceRanges: [],
        ...plan,
      };
      relays.push(relay);
      const isServed = relay.endpoints.length + relay.endpointsForInside.length > 0;
      // The kernel keeps a UDP flow's way while its client goes on: to the relay, which will have endpoints again.
      const target = isServed || protocol === "UDP" ? relay.key : undefined;
      portals.push(...entrances.map((entrance) => ({ ...entrance, protocol, relay: target })));
    };
    const inside = port.internalLocal ? port.localEndpoints : port.clusterEndpoints;
    add("inside", { endpoints: inside, endpointsForInside: inside }, [{ ip: port.clusterIp, port: port.port }]);
    const outside = port.externalLocal ? port.localEndpoints : port.clusterEndpoints;
    const at = (ips: readonly string[], number: number): { ip: string; port: number }[] =>
      ips.map((ip) => ({ ip, port: number }));
    const open = [
      ...at(port.externalIps, port.port),
      ...(port.nodePort === undefined ? [] : at(boardIps, port.nodePort)),
    ];
    const balanced = at(port.loadBalancerIps, port.port);
    const guarded = port.loadBalancerSourceRanges.length > 0 ? balanced : [];
    const unguarded = guarded.length > 0 ? open : [...open, ...balanced];
    if (unguarded.length > 0) add("outside", { endpoints: outside }, unguarded);
    if (guarded.length > 0) {
      add("guarded", { endpoints: outside, sourceRanges: port.loadBalancerSourceRanges }, guarded);
    }
  }
  return { relays, portals };
}

/** Where a relay would best listen: the same port after a restart, so that the kernel's UDP flows still lead to it. */
export function preferredPort({ key }: Pick<RelayPlan, "key">, attempt = 0): number {
  const hash = nameHash(key);
  const number = [...hash].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 20_000, 0);
  return 10_000 + ((number + attempt * 7919) % 20_000);
}

/** The rules that lead from portals to relays: nothing but addresses, ports and DNAT. */
export function portalRules(
  portals: readonly Portal[],
  listeningPorts: ReadonlyMap<string, number>,
  network: ProxyNetwork,
): Ruleset {
  const address = relayAddress[network.family];
  const to = (port: number): string => hostPort(address, port);
  const bits = network.family === "IPv6" ? 128 : 32;
  const rules = portals.map(({ ip, port, protocol, relay }): Rule => {
    const name = protocol.toLowerCase();
    const target = (relay === undefined ? undefined : listeningPorts.get(relay)) ?? closedPort;
    const words = ["-d", `${ip}/${bits}`, "-p", name, "-m", name, "--dport", String(port)];
    return [...words, "-j", "DNAT", "--to-destination", to(target)];
  });
  const own = [...network.ownClusterIps].map((ip): Rule => ["-d", `${ip}/${bits}`, "-j", "RETURN"]);
  // What is left of the service ranges belongs to no Service.
  const nobody = network.serviceCidrs.flatMap((cidr) =>
    ["tcp", "udp"].map((name): Rule => ["-d", cidr, "-p", name, "-j", "DNAT", "--to-destination", to(closedPort)]),
  );
  return { nat: new Map([["KUBE-PORTALS", [...own, ...rules, ...nobody]]]) };
}
