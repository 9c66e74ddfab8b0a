import { type Client, ConnectionError } from "#shared/client/client.ts";
import type { Clock } from "#shared/client/clock.ts";
import type { Log } from "#shared/client/log.ts";
import type { PluginHandler, PluginInfo } from "../plugins/plugin-registration.ts";
import { AllocatableUpdates } from "./allocatable-updates.ts";
import { CsiDriver } from "./csi-driver.ts";
import type { CsiNodeInfo } from "./csi-node.ts";

const firstRetry_ms = 2_000;
const longestRetry_ms = 30_000;

export interface CsiDriversOptions {
  readonly client: Client;
  readonly node: CsiNodeInfo;
  readonly log: Log;
  /** Called when a driver is there that was not before: what waited for it may go on. */
  readonly onRegistered: () => void;
  readonly clock?: Clock | undefined;
}

/** The CSI drivers that serve on this board. */
export class CsiDrivers implements PluginHandler {
  readonly node: CsiNodeInfo;
  readonly log: Log;
  /** How many volumes the board can have by each. */
  readonly allocatable: AllocatableUpdates;
  readonly #drivers = new Map<string, CsiDriver>();
  /** Drivers that have gone, which the master has not been told. */
  readonly #left = new Set<string>();
  /** Runs while there is something that the master has not been told. */
  #retry: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(readonly options: CsiDriversOptions) {
    this.node = options.node;
    this.log = options.log;
    this.allocatable = new AllocatableUpdates({
      ...options,
      serves: (name) => this.#drivers.has(name),
      update: async (name) => {
        const info = await this.#drivers.get(name)?.info();
        if (info) await this.node.update(name, info);
      },
    });
    this.allocatable.start();
  }

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
    const info = await driver.info();
    try {
      await this.node.publish(name, info);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      // Pods of this board need the driver all the same.
      this.#publishLater(firstRetry_ms);
    }
    this.#drivers.set(name, driver);
    this.log.info("a CSI driver serves this board", { driver: name });
    this.allocatable.settle(name);
    this.options.onRegistered();
  }

  async deregister({ name, endpoint }: PluginInfo): Promise<void> {
    // Another instance may have come in its place.
    if (this.#drivers.get(name)?.endpoint !== endpoint) return;
    this.#drivers.delete(name);
    this.log.info("a CSI driver has left this board", { driver: name });
    this.allocatable.settle(name);
    try {
      await this.node.withdraw(name);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.#left.add(name);
      this.#publishLater(firstRetry_ms);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.allocatable.stop();
  }

  #publishLater(delay_ms: number): void {
    if (this.#retry !== undefined || this.#stopped) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.publishAll().catch((error: unknown) => {
        if (!(error instanceof ConnectionError))
          this.log.warn("the board's CSI drivers could not be told of", { error });
        this.#publishLater(Math.min(delay_ms * 2, longestRetry_ms));
      });
    }, delay_ms);
  }

  /** Says anew which drivers are here: the Node was made anew, or the master was away. */
  async publishAll(): Promise<void> {
    await this.node.ensure();
    for (const name of this.#left) {
      if (!this.#drivers.has(name)) await this.node.withdraw(name);
      this.#left.delete(name);
    }
    for (const driver of this.#drivers.values()) await this.node.publish(driver.name, await driver.info());
  }
}
