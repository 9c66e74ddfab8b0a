import {
  type Chains,
  Iptables,
  IptablesError,
  type Ruleset,
  renderBatches,
  renderChanges,
  runProgram,
} from "node-iptables";
import type { Log } from "#shared/client/log.ts";
import { Turn } from "#shared/process/turn.ts";
import { nodePortIps, type ProxyMode, type ProxyNetwork, withRanges } from "../proxy-mode.ts";
import type { ServicePort } from "../service-ports.ts";
import { ConnectionTracking, staleFlows, udpFacts } from "./conntrack.ts";
import { type PortRules, portRules } from "./port-rules.ts";
import { isProxyChain, type ProxyHook, proxyHooks, removeHooks, serviceRules, userspaceHooks } from "./shared-rules.ts";

export interface IptablesModeOptions {
  readonly network: ProxyNetwork;
  readonly log: Log;
  /** See foundSettingsFile. */
  readonly foundSettings?: string | undefined;
  /** Put before each command; how tests reach another network namespace. */
  readonly commandPrefix?: readonly string[] | undefined;
}

interface Applied {
  readonly rules: readonly PortRules[];
  readonly network: ProxyNetwork;
}

/** Stands for what an earlier run left in a chain: unlike any rule that is planned. */
const unknownRules = [["<left by an earlier run>"]];

/** Services by netfilter rules alone; no packet comes to the agent. */
export class IptablesMode implements ProxyMode {
  private readonly iptables: Iptables;
  private readonly tracking: ConnectionTracking;
  private readonly planned = new WeakMap<ServicePort, PortRules>();
  /** What the kernel holds: a port's rules are the same object for as long as nothing of the port changes. */
  private applied: Applied | undefined;
  /** undefined: no Service has asked for it. */
  private knowsSctp: boolean | undefined;
  /** What was true of UDP Services when their stale flows were last looked for. */
  private udp = "";

  constructor(private readonly options: IptablesModeOptions) {
    this.iptables = proxyIptables(options.network, options.commandPrefix);
    this.tracking = new ConnectionTracking(options.network.family, options.commandPrefix);
  }

  async apply(all: readonly ServicePort[], serviceCidrs?: readonly string[]): Promise<void> {
    const network = withRanges(this.options.network, serviceCidrs);
    const others = all.filter(({ clusterIp }) => !network.ownClusterIps.has(clusterIp));
    const ports = await this.withoutUnknownProtocols(others);
    const next: Applied = { rules: await this.plan(ports), network };
    const before = this.applied;
    // Until this one is done it is uncertain what there is.
    this.applied = undefined;
    if (before && (await this.isInPlace())) await this.change(before, next);
    else await this.replace(next);
    this.applied = next;
    await this.endStaleFlows(ports);
  }

  /** Takes away all rules of Services, of whichever mode. */
  async remove(): Promise<void> {
    await removeHooks(this.iptables, [...proxyHooks, ...userspaceHooks]);
    await this.restore(await this.leftByEarlierRun(), {});
    this.applied = undefined;
  }

  /** Rules work without the agent: nothing is to be ended. */
  stop(): Promise<void> {
    return Promise.resolve();
  }

  /** Where the kernel has no match for SCTP, its ports alone are left out: one such rule would fail them all. */
  private async withoutUnknownProtocols(ports: readonly ServicePort[]): Promise<readonly ServicePort[]> {
    if (!ports.some(({ protocol }) => protocol === "SCTP")) return ports;
    this.knowsSctp ??= await this.probeSctp();
    return this.knowsSctp ? ports : ports.filter(({ protocol }) => protocol !== "SCTP");
  }

  private async probeSctp(): Promise<boolean> {
    const chain = "KUBE-SCTP-PROBE";
    const rule = ["-p", "sctp", "-m", "sctp", "--dport", "1", "-j", "RETURN"];
    try {
      await this.iptables.restore(renderChanges({}, { nat: new Map([[chain, [rule]]]) }));
    } catch (error) {
      if (!(error instanceof IptablesError)) throw error;
      this.options.log.warn("this kernel cannot match SCTP: Services of that protocol do not work on this board", {
        error,
      });
      return false;
    }
    await this.iptables.removeChains("nat", [chain]);
    return true;
  }

  private async plan(ports: readonly ServicePort[]): Promise<PortRules[]> {
    const turn = new Turn();
    const rules: PortRules[] = [];
    for (const port of ports) {
      let own = this.planned.get(port);
      if (!own) {
        await turn.pause();
        own = portRules(port, this.options.network);
        this.planned.set(port, own);
      }
      rules.push(own);
    }
    return rules;
  }

  /** Only ports that differ are compared chain by chain. */
  private async change(before: Applied, after: Applied): Promise<void> {
    const gone = new Set(before.rules).difference(new Set(after.rules));
    const fresh = new Set(after.rules).difference(new Set(before.rules));
    await this.restore(
      serviceRules(before.rules, before.network, gone),
      serviceRules(after.rules, after.network, fresh),
    );
  }

  private async replace({ rules, network }: Applied): Promise<void> {
    const left = await this.leftByEarlierRun();
    if (left.nat?.has("KUBE-PORTALS")) await removeHooks(this.iptables, userspaceHooks);
    await this.restore(left, serviceRules(rules, network));
    await this.hookIn(proxyHooks);
  }

  private async restore(previous: Ruleset, next: Ruleset): Promise<void> {
    await new Turn().end();
    for (const text of renderBatches(previous, next)) await this.iptables.restore(text);
  }

  /** After the rules: what goes on sending then makes a flow that is right. */
  private async endStaleFlows(ports: readonly ServicePort[]): Promise<void> {
    const facts = udpFacts(ports);
    if (facts === this.udp) return;
    try {
      for (const flow of staleFlows(await this.tracking.udpFlows(), ports, nodePortIps(this.options.network)))
        await this.tracking.delete(flow);
      this.udp = facts;
    } catch (error) {
      this.options.log.warn("cannot end stale UDP flows; they are looked for again at the next change", { error });
    }
  }

  /** Has nobody flushed the tables behind our back? One hook stands for all. */
  async isInPlace(): Promise<boolean> {
    const hook = proxyHooks[0];
    return hook !== undefined && (await this.iptables.hasRule(hook.table, hook.chain, hook.rule));
  }

  private async leftByEarlierRun(): Promise<Ruleset> {
    const chains = async (table: "nat" | "filter"): Promise<Chains> =>
      new Map((await this.iptables.chains(table)).filter(isProxyChain).map((name) => [name, unknownRules]));
    return { nat: await chains("nat"), filter: await chains("filter") };
  }

  private async hookIn(hooks: readonly ProxyHook[]): Promise<void> {
    for (const { table, chain, rule } of hooks) await this.iptables.ensureRule(table, chain, rule, "first");
    const { family, sparesLoopback } = this.options.network;
    if (family === "IPv4" && !sparesLoopback) {
      // Lets 127.0.0.1:nodePort be translated; KUBE-FIREWALL keeps strangers off 127/8.
      const file = this.options.foundSettings ?? "/dev/null";
      await runProgram(this.options.commandPrefix ?? [], "sh", ["-c", allowLocalRoutes, "sh", file]);
    }
  }
}

/** Notes what was set before in the file that is its argument. */
const allowLocalRoutes = `path=/proc/sys/net/ipv4/conf/all/route_localnet
read -r found <"$path"
[ "$found" = 1 ] && exit
mkdir -p "$(dirname "$1")"
echo "$path $found" >>"$1"
echo 1 >"$path"`;

/** The program that holds this network's rules. */
export function proxyIptables({ family }: Pick<ProxyNetwork, "family">, prefix: readonly string[] = []): Iptables {
  return new Iptables({ program: family === "IPv6" ? "ip6tables" : "iptables", prefix });
}
