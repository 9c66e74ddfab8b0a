import { familyOf, isIpv6 } from "#shared/net/ip-family.ts";
import { findCniConfig } from "./cni-config.ts";
import { defaultCniConfigDirectory } from "./cni-network.ts";
import { type CommandRunner, commandRunner } from "./command.ts";
import { type DefaultCniConfig, networkName, writeDefaultCniConfig } from "./default-cni-config.ts";
import { applyForwarding, forwardingStands } from "./forwarding.ts";
import { prepareKernel } from "./kernel-settings.ts";
import { kernelView } from "./kernel-view.ts";
import { preparePodBridge } from "./pod-bridge.ts";
import { planRoutes, podCidrsOf, type RoutedNode } from "./route-plan.ts";
import { applyRoutes, readInterfaces } from "./route-sync.ts";

export interface PodNetworkOptions {
  readonly nodeName: string;
  /** The whole cluster's pod networks, 10.42.0.0/16 and the like. */
  readonly podNetworks: readonly string[];
  readonly cniConfigDirectory?: string | undefined;
  /** For boards that share a file system; see DefaultCniConfig. */
  readonly leaseDirectory?: string | undefined;
  /** False leaves routes and masquerading to another network plugin. */
  readonly manageRoutes?: boolean | undefined;
  /** See foundSettingsFile. */
  readonly foundSettings?: string | undefined;
  readonly run?: CommandRunner | undefined;
  /** Gets what an operator should know; the same text is not repeated. */
  readonly warn: (message: string) => void;
}

/**
 * The board's part of the pod network, beside the sandboxes themselves: kernel settings, the default CNI
 * configuration, accepts and masquerading, routes to the other boards' pods.
 */
export class PodNetwork {
  readonly #options: PodNetworkOptions;
  readonly #run: CommandRunner;
  readonly #warned = new Set<string>();
  #prepared = false;
  #rulesStand = false;
  /** As the last sync left it. */
  #view: string | undefined;

  constructor(options: PodNetworkOptions) {
    this.#options = options;
    this.#run = options.run ?? commandRunner();
  }

  /** What does not depend on the Nodes: kernel settings and rules. Otherwise as `sync`, which includes it. */
  async prepare(): Promise<void> {
    const { podNetworks, manageRoutes, foundSettings } = this.#options;
    if (!this.#prepared) {
      const v6 = podNetworks.some(isIpv6);
      this.#warnOnce(await prepareKernel({ v6 }, this.#run, foundSettings));
      this.#prepared = true;
    }
    if (manageRoutes === false) return;
    if (!this.#rulesStand) await applyForwarding(podNetworks, this.#run);
    this.#rulesStand = true;
  }

  /**
   * Brings the board to what the Nodes say now. Level-based: call it when a Node's addresses or pod CIDRs change, when
   * the board's own addresses do, and at a resync; with all Nodes, for a route to one that is not among them is taken away.
   * Not to be called again before it has resolved. Rejects with CommandError or a file system error; what was done by then
   * stays done.
   */
  async sync(nodes: readonly RoutedNode[]): Promise<void> {
    const { podNetworks, nodeName, manageRoutes } = this.#options;
    await this.prepare();
    if (manageRoutes === false) {
      await this.#writeCniConfig(nodes, undefined);
      return;
    }
    const family = familyOf(podNetworks[0] ?? "");
    const plan = planRoutes(nodes, { nodeName, family, interfaces: await readInterfaces(this.#run) });
    this.#warnOnce(plan.problems);
    // Pods that are made from now on send nothing that would have to be cut up for the tunnel.
    await this.#writeCniConfig(nodes, plan.tunnel?.mtu);
    await applyRoutes(plan, this.#run);
    this.#view = await kernelView();
  }

  /**
   * Has somebody else changed what the last sync made, or what it rests on (the board's addresses)? Then it is time for
   * another. Rules cannot be seen without starting programs, so they are looked at only `withRules`.
   */
  async isDisturbed({ withRules }: { readonly withRules: boolean }): Promise<boolean> {
    const { podNetworks, manageRoutes } = this.#options;
    if (manageRoutes === false) return false;
    if (withRules) this.#rulesStand &&= await forwardingStands(podNetworks, this.#run);
    return !this.#rulesStand || this.#view !== (await kernelView());
  }

  async #writeCniConfig(nodes: readonly RoutedNode[], mtu: number | undefined): Promise<void> {
    const { nodeName, cniConfigDirectory, leaseDirectory } = this.#options;
    const own = nodes.find((node) => node.metadata?.name === nodeName);
    const podCIDRs = own ? podCidrsOf(own) : [];
    // The node has none yet: pods wait for it, as the node's NetworkReady says.
    if (podCIDRs.length === 0) return;
    const { found } = await findCniConfig(cniConfigDirectory ?? defaultCniConfigDirectory);
    const isOurs = found === undefined || found.config.name === networkName;
    if (isOurs && podCIDRs.some(isIpv6)) this.#warnOnce(await preparePodBridge(this.#run));
    const config: DefaultCniConfig = { podCIDRs, leaseDirectory, mtu };
    await writeDefaultCniConfig(config, cniConfigDirectory);
  }

  #warnOnce(messages: readonly string[]): void {
    for (const message of messages) {
      if (this.#warned.has(message)) continue;
      this.#warned.add(message);
      this.#options.warn(message);
    }
  }
}
