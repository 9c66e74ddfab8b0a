import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type Iptables, type Ruleset, renderBatches } from "node-iptables";
import { type Cidr, contains, parseCidr } from "#shared/board/cidr.ts";
import type { Log } from "#shared/client/log.ts";
import { hostNetwork, isIpv6 } from "#shared/net/ip-family.ts";
import { proxyIptables } from "../iptables/iptables-mode.ts";
import { isProxyChain, proxyHooks, removeHooks, userspaceHooks } from "../iptables/shared-rules.ts";
import { boardIps, nodePortIps, type ProxyMode, type ProxyNetwork, relayAddress, withRanges } from "../proxy-mode.ts";
import type { ServicePort } from "../service-ports.ts";
import { EndpointChoice } from "./endpoint-choice.ts";
import { planPortals, portalRules, preferredPort, type RelayPlan } from "./portals.ts";
import { type RelayTargets, TcpRelay } from "./tcp-relay.ts";
import { UdpRelay } from "./udp-relay.ts";

const mostPortTries = 16;
const leftByEarlierRun = [["<left by an earlier run>"]];

/** A relay that listens, with what it does at present. */
interface Listening {
  plan: RelayPlan;
  readonly port: number;
  readonly relay: TcpRelay | UdpRelay;
}

/** Services by relays in the agent, for kernels that lack what netfilter rules would need: of the kernel it wants DNAT and
 *  nothing else. Endpoints see the board as their client, and connections end with the agent. */
export class UserspaceMode implements ProxyMode {
  private readonly iptables: Iptables;
  private readonly listening = new Map<string, Listening>();
  private applied: Ruleset | undefined;

  constructor(private readonly options: { readonly network: ProxyNetwork; readonly log: Log }) {
    this.iptables = proxyIptables(options.network);
  }

  async apply(all: readonly ServicePort[], serviceCidrs?: readonly string[]): Promise<void> {
    const { network } = this.options;
    const ports = all.filter(({ clusterIp }) => !network.ownClusterIps.has(clusterIp));
    const { relays, portals } = planPortals(ports, nodePortIps(network));
    const before = this.applied;
    this.applied = undefined;
    if (!before) await this.putAddress();
    await this.listen(relays);
    const listeningPorts = new Map([...this.listening].map(([key, { port }]) => [key, port]));
    const rules = portalRules(portals, listeningPorts, withRanges(network, serviceCidrs));
    if (before && (await this.inPlace())) await this.restore(before, rules);
    else await this.replace(rules);
    this.closeAllBut(relays);
    this.applied = rules;
  }

  /** Relays end with the process. */
  isInPlace(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async stop(): Promise<void> {
    this.closeAllBut([]);
  }

  private async putAddress(): Promise<void> {
    const address = relayAddress[this.options.network.family];
    // IPv6 looks for who else has an address before anybody may listen there; on `lo` nobody has.
    const atOnce = isIpv6(address) ? ["nodad"] : [];
    const words = [hostNetwork(address), "dev", "lo", ...atOnce, "scope", "host"];
    await promisify(execFile)("ip", ["address", "replace", ...words]);
  }

  /** New relays listen before rules lead to them; old ones are closed after. */
  private async listen(relays: readonly RelayPlan[]): Promise<void> {
    for (const plan of relays) {
      const present = this.listening.get(plan.key);
      if (!present) {
        this.listening.set(plan.key, await this.open(plan));
        continue;
      }
      present.plan = plan;
      if (present.relay instanceof UdpRelay) present.relay.keepOnly([...plan.endpoints, ...plan.endpointsForInside]);
    }
  }

  private closeAllBut(relays: readonly RelayPlan[]): void {
    const wanted = new Set(relays.map(({ key }) => key));
    for (const [key, { relay }] of this.listening) {
      if (wanted.has(key)) continue;
      this.listening.delete(key);
      relay.close();
    }
  }

  private async open(plan: RelayPlan): Promise<Listening> {
    const address = relayAddress[this.options.network.family];
    const targets = this.targetsOf(plan);
    for (let attempt = 0; ; attempt++) {
      const port = preferredPort(plan, attempt);
      try {
        const listen = plan.protocol === "UDP" ? UdpRelay.listen : TcpRelay.listen;
        return { plan, port, relay: await listen(address, port, targets) };
      } catch (error) {
        if (attempt >= mostPortTries) throw error;
      }
    }
  }

  /** What a relay asks at each connection: the plan of that moment answers. */
  private targetsOf(first: RelayPlan): RelayTargets {
    const choice = new EndpointChoice();
    const plan = (): RelayPlan => this.listening.get(first.key)?.plan ?? first;
    return {
      endpoints: (client) => {
        const { endpoints, endpointsForInside, affinity_s, sourceRanges } = plan();
        const inside = this.isInside(client);
        if (sourceRanges.length > 0 && !isWithin(client, sourceRanges)) return [];
        return choice.order(inside ? endpointsForInside : endpoints, client, affinity_s);
      },
      served: (client, endpoint) => choice.remember(client, endpoint, plan().affinity_s),
    };
  }

  private isInside(client: string): boolean {
    const { clusterCidr, family } = this.options.network;
    return isWithin(client, [clusterCidr]) || boardIps(family).includes(client);
  }

  private async replace(rules: Ruleset): Promise<void> {
    const left = {
      nat: new Map((await this.chains("nat")).map((name) => [name, leftByEarlierRun])),
      filter: new Map((await this.chains("filter")).map((name) => [name, leftByEarlierRun])),
    };
    const isAnotherModes = left.filter.size > 0 || left.nat.has("KUBE-SERVICES");
    if (isAnotherModes) await removeHooks(this.iptables, proxyHooks);
    await this.restore(left, rules);
    for (const { table, chain, rule } of userspaceHooks) await this.iptables.ensureRule(table, chain, rule, "first");
  }

  private async chains(table: "nat" | "filter"): Promise<string[]> {
    return (await this.iptables.chains(table)).filter(isProxyChain);
  }

  private async restore(previous: Ruleset, next: Ruleset): Promise<void> {
    for (const text of renderBatches(previous, next)) await this.iptables.restore(text);
  }

  private async inPlace(): Promise<boolean> {
    const hook = userspaceHooks[0];
    return hook !== undefined && (await this.iptables.hasRule(hook.table, hook.chain, hook.rule));
  }
}

function isWithin(address: string, ranges: readonly string[]): boolean {
  const one = parseCidr(address);
  return one !== undefined && ranges.some((range) => isInRange(one, parseCidr(range)));
}

const isInRange = (address: Cidr, range: Cidr | undefined): boolean => range !== undefined && contains(range, address);
