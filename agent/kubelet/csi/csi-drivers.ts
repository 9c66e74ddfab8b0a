import type { Log } from "#shared/client/log.ts";
import type { PluginHandler, PluginInfo } from "../plugins/plugin-registration.ts";
import { CsiDriver } from "./csi-driver.ts";
import type { CsiNodeInfo } from "./csi-node.ts";

/** The CSI drivers that serve on this board. */
export class CsiDrivers implements PluginHandler {
  readonly #drivers = new Map<string, CsiDriver>();

  constructor(
    readonly node: CsiNodeInfo,
    readonly log: Log,
    /** Called when a driver is there that was not before: what waited for it may go on. */
    readonly onRegistered: () => void,
  ) {}

  /** Rejects with Error, worded as upstream, when no such driver has registered. */
  get(name: string): CsiDriver {
    const driver = this.#drivers.get(name);
    if (!driver) throw new Error(`driver name ${name} not found in the list of registered CSI drivers`);
    return driver;
  }

  async register({ name, endpoint, supportedVersions }: PluginInfo): Promise<void> {
    if (!supportedVersions.some((version) => /^v?1(\.|$)/.test(version))) {
      const versions = supportedVersions.join(", ");
      throw new Error(`none of the CSI versions reported by this driver are supported: [${versions}]`);
    }
    const driver = new CsiDriver(name, endpoint);
    await this.node.publish(name, await driver.info());
    this.#drivers.set(name, driver);
    this.log.info("a CSI driver serves this board", { driver: name });
    this.onRegistered();
  }

  async deregister({ name, endpoint }: PluginInfo): Promise<void> {
    // Another instance may have come in its place.
    if (this.#drivers.get(name)?.endpoint !== endpoint) return;
    this.#drivers.delete(name);
    this.log.info("a CSI driver has left this board", { driver: name });
    await this.node.withdraw(name);
  }

  /** The Node was made anew: it knows nothing of the drivers. */
  async publishAll(): Promise<void> {
    await this.node.ensure();
    for (const driver of this.#drivers.values()) await this.node.publish(driver.name, await driver.info());
  }
}
