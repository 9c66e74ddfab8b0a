import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Host } from "#agent/host/host.ts";
import type { Peripheral } from "#agent/telemetry/peripherals.ts";
import type { Node, Pod, Secret } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { Log } from "#shared/client/log.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { GrpcDoor } from "#shared/grpc/door.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { CpuManager } from "../cpus/cpu-manager.ts";
import type { CsiDrivers } from "../csi/csi-drivers.ts";
import { CsiNodeInfo } from "../csi/csi-node.ts";
import type { CsiVolumes } from "../csi/csi-volumes.ts";
import { Allocations } from "../devices/allocations.ts";
import type { BoardDevices } from "../devices/board-devices.ts";
import { DeviceManager } from "../devices/device-manager.ts";
import type { DevicePlugins } from "../devices/device-plugins.ts";
import type { DraDrivers } from "../dra/dra-drivers.ts";
import type { PreparedClaims } from "../dra/prepared-claims.ts";
import type { CsiLoader } from "../volumes/csi-loader.ts";
import type { ServiceAccountTokens } from "../volumes/service-account-token.ts";
import { PluginWatcher } from "./plugin-watcher.ts";
import { ResourceSlices } from "./resource-slices.ts";

export interface BoardPluginsOptions {
  /** The folder that drivers and plug-ins know as the kubelet's: /var/lib/kubelet. */
  readonly root: string;
  /** Where /dev and /sys are; "/" when absent. */
  readonly hardwareRoot?: string | undefined;
  readonly nodeName: string;
  /** How long what a driver of dynamic resources offers stays when it has gone; upstream's half a minute when absent. */
  readonly sliceGrace_ms?: number | undefined;
  readonly host: Host;
  readonly client: Client;
  readonly checkpoint: Checkpoint;
  /** A Secret that a driver is to have. */
  secret(namespace: string, name: string): Promise<Secret>;
  readonly tokens: ServiceAccountTokens;
  readonly recorder: EventRecorder;
  readonly log: Log;
  /** The board's Node as the API has it. */
  node(): Node | undefined;
  /** The Node is to report something new. */
  readonly onReport: () => void;
  /** Pods may go on: a driver is there, a volume is attached. */
  readonly onProgress: () => void;
  /** Pods on this board, for those who ask what they have. */
  pods(): readonly Pod[];
  /** Which CPUs they have to themselves; undefined: none. */
  cpus(): CpuManager | undefined;
}

interface Csi {
  readonly drivers: CsiDrivers;
  readonly volumes: CsiVolumes;
}

interface Dra {
  readonly drivers: DraDrivers;
  readonly claims: PreparedClaims;
}

/** As long as the kubelet waits for the master before it starts pods from its checkpoint. */
const patience_ms = 5_000;

/** Claims of pods, loaded when they are first needed. */
export interface ClaimLoader {
  /** What is loaded; undefined while nothing has been needed. */
  readonly loadedClaims: PreparedClaims | undefined;
  loadClaims(): Promise<PreparedClaims>;
}

/** What others bring to a board by the kubelet's plug-in interfaces. A board without plug-ins only watches a folder. */
export class BoardPlugins implements CsiLoader, ClaimLoader {
  readonly #options: BoardPluginsOptions;
  readonly #watcher: PluginWatcher;
  readonly #csiNode: CsiNodeInfo;
  #csi: Csi | undefined;
  #loading: Promise<Csi> | undefined;
  #dra: Dra | undefined;
  #loadingDra: Promise<Dra> | undefined;
  readonly #slices: ResourceSlices;
  #attachments = "";
  #nodeIsKnown = false;
  readonly #nodeIsThere = Promise.withResolvers<void>();
  readonly devices: DeviceManager;
  #devicePlugins: Promise<DevicePlugins> | undefined;
  #boardDevices: Promise<BoardDevices> | undefined;
  #offerTrouble: string | undefined;
  readonly #registration: GrpcDoor;
  readonly #podResources: GrpcDoor;

  constructor(options: BoardPluginsOptions) {
    this.#options = options;
    const checkpoint = join(options.root, "device-plugins", "kubelet_internal_checkpoint");
    this.devices = new DeviceManager(new Allocations(checkpoint, options.log), options.log, options.onReport);
    this.#slices = new ResourceSlices(options.client, options.nodeName, options.log, options.sliceGrace_ms);
    this.#csiNode = new CsiNodeInfo(options.client, options.nodeName);
    this.#watcher = new PluginWatcher({
      folder: join(options.root, "plugins_registry"),
      log: options.log,
      register: async (socket) => {
        const { registerPlugin } = await import("./plugin-registration.ts");
        return registerPlugin(socket, async (type) => {
          if (type === "CSIPlugin") {
            await this.#nodeOrNobody();
            return (await this.#loadCsi()).drivers;
          }
          if (type === "DRAPlugin") return (await this.#loadDra()).drivers;
          return type === "DevicePlugin" ? this.#loadDevicePlugins() : undefined;
        });
      },
    });
    const onError = (error: unknown): void => options.log.warn("a plug-in could not be served", { error });
    this.#registration = new GrpcDoor(async () => (await this.#loadDevicePlugins()).server, onError);
    this.#podResources = new GrpcDoor(async () => {
      const { podResourcesServer } = await import("../devices/pod-resources.ts");
      const claims = (): PreparedClaims | undefined => this.loadedClaims;
      return podResourcesServer({ manager: this.devices, claims, pods: () => options.pods(), cpus: options.cpus });
    }, onError);
  }

  /** Finds what an earlier run has left mounted, then waits for plug-ins. */
  async start(): Promise<void> {
    const { root } = this.#options;
    if ((await hasEntries(join(root, "pods"))) || (await hasEntries(join(root, "plugins", "kubernetes.io", "csi"))))
      await this.load();
    if ((await readIfPresent(this.#claimRecords)) !== undefined) await this.#loadDra();
    await this.devices.start();
    // As upstream: a driver's own pod may insist that they are there before it is, to find out what it will mount.
    for (const folder of ["pods", "plugins"]) await mkdir(join(root, folder), { recursive: true, mode: 0o750 });
    await this.#watcher.start();
    // Plug-ins see by this socket that a kubelet has started, and register anew.
    await this.#registration.listen(join(root, "device-plugins", "kubelet.sock"));
    await this.#podResources.listen(join(root, "pod-resources", "kubelet.sock"));
  }

  async stop(): Promise<void> {
    await this.#watcher.stop();
    (await this.#devicePlugins)?.stop();
    this.#slices.stop();
    await (await this.#loading)?.drivers.stop();
    (await this.#loadingDra)?.drivers.stop();
    await this.#registration.stop();
    await this.#podResources.stop();
  }

  /** A driver is told of in the Node, so it waits for that; while no master can be asked it is taken without. */
  async #nodeOrNobody(): Promise<void> {
    if (!this.#options.client.isAway) await Promise.race([this.#nodeIsThere.promise, delay(patience_ms)]);
    if (!this.#options.client.isAway) await this.#nodeIsThere.promise;
  }

  #loadDevicePlugins(): Promise<DevicePlugins> {
    this.#devicePlugins ??= import("../devices/device-plugins.ts").then(
      ({ DevicePlugins }) =>
        new DevicePlugins(join(this.#options.root, "device-plugins"), this.devices, this.#options.log),
    );
    return this.#devicePlugins;
  }

  /** Called at each look at the board. One on which nothing ever hung loads nothing. */
  async offer(peripherals: readonly Peripheral[], fingerprint: string): Promise<void> {
    if (peripherals.length === 0 && !this.#boardDevices) return;
    this.#boardDevices ??= import("../devices/board-devices.ts").then(
      ({ BoardDevices }) => new BoardDevices(this.devices, this.#options.hardwareRoot),
    );
    try {
      await (await this.#boardDevices).update(fingerprint);
      this.#offerTrouble = undefined;
    } catch (error) {
      // Tried again at the next look: the Node is reported without these.
      const { message } = error as Error;
      if (message !== this.#offerTrouble) this.#options.log.warn("what hangs on the board is not offered", { error });
      this.#offerTrouble = message;
    }
  }

  get loaded(): CsiVolumes | undefined {
    return this.#csi?.volumes;
  }

  async load(): Promise<CsiVolumes> {
    return (await this.#loadCsi()).volumes;
  }

  #loadCsi(): Promise<Csi> {
    this.#loading ??= this.#newCsi();
    return this.#loading;
  }

  async #newCsi(): Promise<Csi> {
    const [{ CsiDrivers }, { CsiVolumes }] = await Promise.all([
      import("../csi/csi-drivers.ts"),
      import("../csi/csi-volumes.ts"),
    ]);
    const { root, nodeName, host, client, checkpoint, tokens, recorder, log, onReport, onProgress } = this.#options;
    const drivers = new CsiDrivers({ client, node: this.#csiNode, log, onRegistered: onProgress });
    const volumes = new CsiVolumes({
      root,
      nodeName,
      host,
      client,
      checkpoint,
      secret: (namespace, name) => this.#options.secret(namespace, name),
      tokens,
      drivers,
      events: recorder,
      node: () => this.#options.node(),
      onInUse: onReport,
      log,
    });
    this.#csi = { drivers, volumes };
    return this.#csi;
  }

  get #claimRecords(): string {
    return join(this.#options.root, "dra_manager_state");
  }

  get loadedClaims(): PreparedClaims | undefined {
    return this.#dra?.claims;
  }

  async loadClaims(): Promise<PreparedClaims> {
    return (await this.#loadDra()).claims;
  }

  #loadDra(): Promise<Dra> {
    this.#loadingDra ??= this.#newDra();
    return this.#loadingDra;
  }

  async #newDra(): Promise<Dra> {
    const [{ DraDrivers }, { PreparedClaims }, { ClaimRecords }] = await Promise.all([
      import("../dra/dra-drivers.ts"),
      import("../dra/prepared-claims.ts"),
      import("../dra/claim-record.ts"),
    ]);
    const { client, log, onProgress } = this.#options;
    const drivers = new DraDrivers(this.#slices, log, onProgress);
    const claims = new PreparedClaims(client, drivers, new ClaimRecords(this.#claimRecords, log), log);
    this.#dra = { drivers, claims };
    return this.#dra;
  }

  /** Attachable volumes that pods here need, as the Node's status has them. */
  volumesInUse(): string[] {
    return this.loaded?.inUse ?? [];
  }

  /** The Node has been registered, for the first time or anew: its CSINode goes with it. */
  async registered(): Promise<void> {
    if (this.#csi) await this.#csi.drivers.publishAll();
    else await this.#csiNode.ensure();
    if (!this.#nodeIsKnown) this.#slices.withdrawAll();
    this.#nodeIsKnown = true;
    this.#nodeIsThere.resolve();
  }

  /** The Node as the API has it now: pods wait for their volumes to be attached. */
  observe({ status }: Node): void {
    const attachments = JSON.stringify([status?.volumesInUse, status?.volumesAttached]);
    if (attachments === this.#attachments) return;
    this.#attachments = attachments;
    if (this.#csi) this.#options.onProgress();
  }
}

async function hasEntries(folder: string): Promise<boolean> {
  return (await readdir(folder).catch(() => [])).length > 0;
}
