import { writeFile } from "node:fs/promises";
import { type Chains, Iptables, type Ruleset, renderChanges } from "node-iptables";
import { endpointSlices, services } from "#shared/api/resources.ts";
import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import { ConnectionTracking, staleFlows, udpFacts } from "./conntrack.ts";
import { HealthChecks, serviceHealth } from "./health-checks.ts";
import { isProxyChain, type ProxyNetwork, planServiceRules, proxyHooks } from "./plan.ts";
import { type NodeView, type ServicePort, ServicePortCache } from "./service-ports.ts";
import { addSliceIndexes, sliceByService } from "./slice-index.ts";

export interface IptablesProxyOptions {
  readonly informers: InformerFactory;
  readonly network: ProxyNetwork;
  /** Read at each sync: the zone may change. */
  readonly node: () => NodeView;
  readonly iptables?: Iptables | undefined;
  readonly log: Log;
  /** Put before conntrack's command; how tests reach another network namespace. */
  readonly commandPrefix?: readonly string[] | undefined;
}

const sync = "sync";
/** Changes that come together are applied together. */
const gather_ms = 50;
/** Rules that somebody else removed are put back within this. */
const recheck_ms = 600_000;
/** Stands for what an earlier run left in a chain: unlike any rule that is planned. */
const unknownRules = [["<left by an earlier run>"]];

/** Service proxy by netfilter rules: Services and EndpointSlices in, changed chains out. Rules stay when it stops. */
export class IptablesProxy {
  private readonly iptables: Iptables;
  private readonly queue = new WorkQueue({ firstBackOff_ms: 500, longestBackOff_ms: 30_000 });
  private applied: Ruleset | undefined;
  private readonly cache = new ServicePortCache();
  private readonly tracking: ConnectionTracking;
  private readonly healthChecks: HealthChecks;
  /** What was true of UDP Services when their stale flows were last looked for. */
  private udp = "";
  private readonly detach: (() => void)[] = [];
  private running: Promise<void> | undefined;

  constructor(private readonly options: IptablesProxyOptions) {
    this.iptables =
      options.iptables ?? new Iptables({ program: options.network.family === "IPv6" ? "ip6tables" : "iptables" });
    this.tracking = new ConnectionTracking(options.network.family, options.commandPrefix);
    this.healthChecks = new HealthChecks(options.log, () => this.applied !== undefined);
  }

  /** Resolves once it is known what there is, be it from the checkpoint; the first rules follow at once. */
  async start(): Promise<void> {
    const { informers } = this.options;
    const slices = informers.informer(endpointSlices);
    addSliceIndexes(slices);
    const enqueue = (): void => this.queue.addAfter(sync, gather_ms);
    this.detach.push(informers.informer(services).addHandler(enqueue), slices.addHandler(enqueue));
    await Promise.all([informers.informer(services).usable, slices.usable]);
    this.running = this.work();
    this.queue.add(sync);
  }

  async stop(): Promise<void> {
    for (const detach of this.detach.splice(0)) detach();
    this.queue.shutDown();
    await this.running;
    this.healthChecks.serve(new Map());
  }

  /** Removes every chain and hook of this proxy; for uninstalling. */
  static async removeAll(iptables: Iptables): Promise<void> {
    for (const { table, chain, rule } of proxyHooks) await iptables.removeRule(table, chain, rule);
    for (const table of ["nat", "filter"] as const) {
      await iptables.removeChains(table, (await iptables.chains(table)).filter(isProxyChain));
    }
  }

  private async work(): Promise<void> {
    for (let key = await this.queue.get(); key !== undefined; key = await this.queue.get()) {
      try {
        await this.syncOnce();
        this.queue.forget(key);
        this.queue.addAfter(key, recheck_ms);
      } catch (error) {
        // What was applied is uncertain now: the next try reads it from the kernel.
        this.applied = undefined;
        this.options.log.error("cannot apply Service rules; trying again", { error });
        this.queue.addRateLimited(key);
      } finally {
        this.queue.done(key);
      }
    }
  }

  private async syncOnce(): Promise<void> {
    const { informers, network, node } = this.options;
    const slices = informers.lister(endpointSlices);
    const slicesOf = ({ metadata }: Service): readonly EndpointSlice[] =>
      slices.byIndex(sliceByService, `${metadata.namespace}/${metadata.name}`);
    const all = informers.lister(services).list();
    const ports = this.cache.servicePorts(all, slicesOf, node(), network.family);
    if (this.applied && !(await this.inPlace())) this.applied = undefined;
    const isFirst = this.applied === undefined;
    const next = planServiceRules(ports, network);
    const previous = this.applied ?? (await this.leftByEarlierRun());
    await this.iptables.restore(renderChanges(previous, next));
    if (isFirst) await this.hookIn();
    this.applied = next;
    this.healthChecks.serve(serviceHealth(all, slicesOf, node().name));
    await this.endStaleFlows(ports.filter(({ clusterIp }) => !network.ownClusterIps.has(clusterIp)));
  }

  /** After the rules: what goes on sending then makes a flow that is right. */
  private async endStaleFlows(ports: readonly ServicePort[]): Promise<void> {
    const facts = udpFacts(ports);
    if (facts === this.udp) return;
    try {
      for (const flow of staleFlows(await this.tracking.udpFlows(), ports)) await this.tracking.delete(flow);
      this.udp = facts;
    } catch (error) {
      this.options.log.warn("cannot end stale UDP flows; they are looked for again at the next change", { error });
    }
  }

  /** Has nobody flushed the tables behind our back? One hook stands for all. */
  private async inPlace(): Promise<boolean> {
    const hook = proxyHooks[0];
    return hook !== undefined && (await this.iptables.hasRule(hook.table, hook.chain, hook.rule));
  }

  private async leftByEarlierRun(): Promise<Ruleset> {
    const chains = async (table: "nat" | "filter"): Promise<Chains> =>
      new Map((await this.iptables.chains(table)).filter(isProxyChain).map((name) => [name, unknownRules]));
    return { nat: await chains("nat"), filter: await chains("filter") };
  }

  private async hookIn(): Promise<void> {
    for (const { table, chain, rule } of proxyHooks) await this.iptables.ensureRule(table, chain, rule, "first");
    if (this.options.network.family === "IPv4") {
      // Lets 127.0.0.1:nodePort be translated; KUBE-FIREWALL keeps strangers off 127/8.
      await writeFile("/proc/sys/net/ipv4/conf/all/route_localnet", "1");
    }
  }
}
