import type { Log } from "#shared/client/log.ts";
import type { PluginHandler, PluginInfo } from "../plugins/plugin-registration.ts";
import type { ResourceSlices } from "../plugins/resource-slices.ts";
import { DraDriver } from "./dra-driver.ts";
import { draServices } from "./dra-messages.ts";

/** The drivers of dynamic resources on this board. Two instances of one may be there, while it is upgraded. */
export class DraDrivers implements PluginHandler {
  /** By name, the one that came last at the end. */
  readonly #drivers = new Map<string, DraDriver[]>();

  constructor(
    readonly slices: ResourceSlices,
    readonly log: Log,
    /** Called when a driver is there that was not before: what waited for it may go on. */
    readonly onRegistered: () => void,
  ) {}

  /** Rejects with Error, worded as upstream, when no such driver has registered. */
  get(name: string): DraDriver {
    const instances = this.#drivers.get(name) ?? [];
    const driver = instances.findLast(({ connected }) => connected) ?? instances.at(-1);
    if (!driver) throw new Error(`DRA driver ${name} is not registered`);
    return driver;
  }

  async register({ name, endpoint, supportedVersions }: PluginInfo): Promise<void> {
    const service = supportedVersions.flatMap((version) => draServices.get(version) ?? [])[0];
    if (service === undefined) {
      const list = (names: Iterable<string>): string => JSON.stringify([...names]);
      const text = `none of services supported by the plugin (${list(supportedVersions)}) are supported by the kubelet (${list(draServices.keys())})`;
      throw new Error(`invalid supported gRPC versions of DRA driver plugin ${name} at endpoint ${endpoint}: ${text}`);
    }
    this.#remove(name, endpoint);
    const driver = new DraDriver(name, endpoint, service, () => this.#changed(name));
    this.#drivers.set(name, [...(this.#drivers.get(name) ?? []), driver]);
    this.log.info("a driver of dynamic resources serves this board", { driver: name });
    this.#changed(name);
  }

  async deregister({ name, endpoint }: PluginInfo): Promise<void> {
    this.#remove(name, endpoint);
    this.log.info("a driver of dynamic resources has left this board", { driver: name });
    this.#changed(name);
  }

  stop(): void {
    for (const instances of this.#drivers.values()) for (const driver of instances) driver.close();
    this.#drivers.clear();
  }

  #remove(name: string, endpoint: string): void {
    const instances = this.#drivers.get(name) ?? [];
    for (const former of instances.filter((each) => each.endpoint === endpoint)) former.close();
    const others = instances.filter((each) => each.endpoint !== endpoint);
    if (others.length > 0) this.#drivers.set(name, others);
    else this.#drivers.delete(name);
  }

  #changed(name: string): void {
    const isUsable = this.#drivers.get(name)?.some(({ connected }) => connected) ?? false;
    if (isUsable) {
      this.slices.keep(name);
      this.onRegistered();
    } else this.slices.withdraw(name);
  }
}
