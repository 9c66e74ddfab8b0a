import { basename, join } from "node:path";
import type { Log } from "#shared/client/log.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import { GrpcServer } from "#shared/grpc/server.ts";
import type { PluginHandler, PluginInfo } from "../plugins/plugin-registration.ts";
import type { DeviceManager } from "./device-manager.ts";
import {
  type DevicePluginOptions,
  devicePaths,
  devicePluginVersion,
  Empty,
  RegisterRequest,
} from "./device-messages.ts";
import { DevicePlugin } from "./device-plugin.ts";

/** Takes device plug-ins, by the kubelet's own socket or the registry's folder, and follows what devices they have. */
export class DevicePlugins implements PluginHandler {
  readonly #plugins = new Map<string, DevicePlugin>();
  /** What answers at the kubelet's socket. */
  readonly server: GrpcServer;
  #stopped = false;

  constructor(
    /** /var/lib/kubelet/device-plugins */
    readonly folder: string,
    readonly manager: DeviceManager,
    readonly log: Log,
  ) {
    this.server = new GrpcServer({
      unary: { [devicePaths.register]: (request) => this.#takeRegistration(request) },
      onError: (path, error) => log.warn("a device plug-in's registration failed", { path, error }),
    });
  }

  stop(): void {
    this.#stopped = true;
    for (const plugin of this.#plugins.values()) plugin.close();
  }

  #takeRegistration(bytes: Buffer): Buffer {
    const { version, endpoint, resourceName, options } = RegisterRequest.decode(bytes);
    try {
      if (version !== devicePluginVersion)
        throw new Error(
          `requested API version "${version}" is not supported by kubelet. Supported version is "${devicePluginVersion}"`,
        );
      // The plug-in's own folder is this one: it names the file alone.
      if (basename(endpoint) !== endpoint) throw new Error(`the endpoint "${endpoint}" is no name of a file`);
      this.#add(resourceName, join(this.folder, endpoint), options);
    } catch (error) {
      throw new GrpcError(GrpcCode.InvalidArgument, (error as Error).message, true);
    }
    return Empty.encode({});
  }

  async register({ name, endpoint, supportedVersions }: PluginInfo): Promise<void> {
    if (!supportedVersions.includes(devicePluginVersion))
      throw new Error(`none of the versions [${supportedVersions.join(", ")}] is supported: ${devicePluginVersion} is`);
    this.#add(name, endpoint, undefined);
  }

  async deregister({ name }: PluginInfo): Promise<void> {
    this.#plugins.get(name)?.close();
  }

  #add(resource: string, socket: string, options: DevicePluginOptions | undefined): void {
    if (!isExtendedResource(resource)) throw new Error(`the ResourceName "${resource}" is invalid`);
    this.#plugins.get(resource)?.close();
    const plugin = new DevicePlugin(socket, resource, options);
    this.#plugins.set(resource, plugin);
    this.log.info("a device plug-in serves this board", { resource });
    void this.#follow(plugin);
  }

  async #follow(plugin: DevicePlugin): Promise<void> {
    const { resource } = plugin;
    try {
      for await (const devices of plugin.devices()) {
        if (this.#plugins.get(resource) !== plugin) return;
        this.manager.setDevices(resource, plugin, devices);
      }
    } catch (error) {
      if (!this.#stopped && this.#plugins.get(resource) === plugin)
        this.log.warn("a device plug-in has gone", { resource, error });
    } finally {
      plugin.close();
      if (this.#plugins.get(resource) === plugin) this.#plugins.delete(resource);
      if (!this.#stopped) this.manager.sourceGone(resource, plugin);
    }
  }
}

/** A name with a domain that is not Kubernetes' own. */
function isExtendedResource(name: string): boolean {
  const [domain = "", rest = "", ...more] = name.split("/");
  const isDomain = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(domain);
  const isName = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(rest);
  return more.length === 0 && isDomain && isName && domain !== "kubernetes.io" && !domain.endsWith(".kubernetes.io");
}
