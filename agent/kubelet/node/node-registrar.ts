import type { Host } from "#agent/host/host.ts";
import type { ContainerRuntime, RuntimeHandler } from "#agent/runtime/runtime.ts";
import type { BoardFacts } from "#agent/telemetry/board.ts";
import { type Peripheral, PeripheralScan } from "#agent/telemetry/peripherals.ts";
import { type Headroom, readHeadroom } from "#agent/telemetry/pressure.ts";
import { readSensors, type SensorReadings } from "#agent/telemetry/sensors.ts";
import { StrainGauge } from "#agent/telemetry/strain.ts";
import { readUsageCounters, type UsageHistory } from "#agent/telemetry/usage-history.ts";
import { isAlreadyExists, isNotFound } from "#shared/api/errors.ts";
import { nodes } from "#shared/api/resources.ts";
import type { Node, NodeStatus, Taint } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { EventRecorder, EventToRecord } from "#shared/client/event-recorder.ts";
import type { Log } from "#shared/client/log.ts";
import { PromptedLoop } from "#shared/client/prompted-loop.ts";
import type { ResourceCounts } from "../devices/device-manager.ts";
import { EvictionGauge, type Shortage } from "./eviction-gauge.ts";
import type { EvictionRules } from "./eviction-rules.ts";
import { boardReference, nodeEvents, statusEvent, statusOf } from "./node-events.ts";
import {
  boardLabelPrefix,
  type NodeFacts,
  newNode,
  nodeStatus,
  ownLabels,
  type Reserved,
  saysMore,
} from "./node-status.ts";
import { RuntimeHealth } from "./runtime-health.ts";

export interface NodeRegistrarOptions {
  readonly client: Client;
  readonly runtime: ContainerRuntime;
  readonly host: Host;
  readonly recorder: EventRecorder;
  readonly log: Log;
  readonly board: BoardFacts;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly maxPods: number;
  readonly kubeletPort: number;
  readonly reserved: Reserved;
  readonly dataFolder: string;
  /** How long the runtime may take over an answer before it counts as down; upstream's two minutes when absent. */
  readonly runtimePatience_ms?: number | undefined;
  /** The runtime answers again after it did not. */
  readonly onRuntimeRecovered: () => void;
  /** Where /dev and /sys are; "/" when absent. */
  readonly hardwareRoot?: string | undefined;
  addresses(): readonly string[];
  /** Troubles of the network and whatever else keeps pods from starting. */
  troubles(): readonly string[];
  readonly plugins: NodePlugins | undefined;
  /** Takes what each look finds. */
  readonly history: UsageHistory;
  readonly eviction: EvictionRules;
  /** How often the board is looked at; it is written only when something has changed, and after `report_ms` at the latest. */
  readonly look_ms: number;
  readonly report_ms: number;
  readonly mostImages: number;
  readonly providerId: string | undefined;
  readonly countsLocalStorage: boolean;
  /** Called after each look with what the board is short of at the moment, the most urgent first. */
  readonly onLook: (shortages: readonly Shortage[]) => void;
}

/** What plug-ins of the board have to do with its Node. */
export interface NodePlugins {
  volumesInUse(): readonly string[];
  /** Extended resources by devices. */
  readonly devices: { counts(): ResourceCounts };
  /** What hangs on the board, as looked at now; `fingerprint` is another one when that has changed. */
  offer(peripherals: readonly Peripheral[], fingerprint: string): Promise<void>;
  /** The Node has been registered, or found again. */
  registered(): Promise<void>;
}

const retry_ms = 5_000;

/**
 * Registers the board's Node and keeps its status true. Liveness is not its business: heartbeats renew the node's Lease
 * by MQTT, so that an idle board writes a Node every half hour.
 */
export class NodeRegistrar {
  readonly #gauge: EvictionGauge;
  readonly #strainGauge = new StrainGauge();
  readonly #peripherals: PeripheralScan;
  readonly #loop = new PromptedLoop(() => this.#look());
  #node: Node | undefined;
  #status: NodeStatus | undefined;
  #reported_ms = Number.NEGATIVE_INFINITY;
  readonly #runtime: RuntimeHealth;
  #pluginsAreTold = false;
  readonly #stop = new AbortController();

  constructor(readonly options: NodeRegistrarOptions) {
    this.#gauge = new EvictionGauge(options.eviction);
    this.#peripherals = new PeripheralScan(options.hardwareRoot);
    this.#runtime = new RuntimeHealth(options.runtime, {
      patience_ms: options.runtimePatience_ms,
      onRecovered: () => {
        this.prompt();
        options.onRuntimeRecovered();
      },
    });
  }

  /** The Node as last read or written; before that, what it will be. */
  get node(): Node | undefined {
    return this.#node;
  }

  /** Where the runtime keeps images; undefined before it has answered once. */
  get imageFolder(): string | undefined {
    return this.#runtime.version?.rootDirectory;
  }

  /** The scheme of container ids. */
  get runtimeName(): string {
    return this.#runtime.version?.name ?? "docker";
  }

  /** The runtime's handlers; none before it has answered once. */
  get handlers(): readonly RuntimeHandler[] {
    return this.#runtime.version?.handlers ?? [];
  }

  /** The Node with what the board reports now; undefined before it is registered. */
  get reported(): Node | undefined {
    return this.#node && this.#status && { ...this.#node, status: this.#status };
  }

  /** What the board reports now, written or not. */
  get status(): NodeStatus | undefined {
    return this.#status;
  }

  /** The Node as the API has it now. Where others say that the board is not what it is, it is reported at once: the
   *  master took it for lost, and pods wait for it. */
  observe(node: Node): void {
    const before = this.#node?.spec?.unschedulable ?? false;
    const known = this.#node !== undefined;
    this.#node = newer(this.#node, node);
    const now = this.#node.spec?.unschedulable ?? false;
    if (known && now !== before)
      this.#tell(statusEvent(this.options.name, now ? "NodeNotSchedulable" : "NodeSchedulable"));
    if (this.#status && readiness(this.#node.status) !== readiness(this.#status)) this.prompt();
  }

  /** Someone deleted the Node: a board that lives comes back. */
  forget(): void {
    this.#node = undefined;
    this.prompt();
  }

  /** Resolves after the first look at the board; registration goes on behind. */
  async start(): Promise<void> {
    this.#tell({ type: "Normal", reason: "Starting", message: "Starting kubelet." });
    this.#status = nodeStatus(await this.#facts(), undefined, Date.now());
    this.prompt();
  }

  /** A runtime that hangs is not waited for. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop.stop();
  }

  /** Something that the node reports may have changed. */
  prompt(): void {
    this.#loop.prompt();
  }

  async #look(): Promise<number> {
    try {
      await this.#report();
      return this.options.look_ms;
    } catch (error) {
      this.options.log.debug("the node could not be reported", { error });
      return retry_ms;
    }
  }

  async #report(): Promise<void> {
    const { options } = this;
    const facts = await this.#facts();
    this.#status = nodeStatus(facts, this.#node?.status ?? this.#status, Date.now());
    if (!this.#node) {
      this.#node = await this.#register(facts);
      this.#pluginsAreTold = false;
    }
    await this.#tellPlugins();
    await this.#keepLabels(facts);
    const now_ms = performance.now();
    const next = nodeStatus(facts, this.#node.status, Date.now());
    if (!saysMore(next, this.#node.status) && now_ms - this.#reported_ms < options.report_ms) return;
    try {
      this.#tell(...nodeEvents(options.name, next, this.#node.status));
      const body = { status: statusPatch(next) };
      const key = { name: options.name };
      const written = await options.client.patch(nodes, key, { type: "strategic", body }, { subresource: "status" });
      this.#node = newer(this.#node, written);
      this.#status = next;
      this.#reported_ms = now_ms;
    } catch (error) {
      // Deleted by someone: register anew.
      if (isNotFound(error)) this.#node = undefined;
      throw error;
    }
  }

  async #tellPlugins(): Promise<void> {
    if (this.#pluginsAreTold) return;
    await this.options.plugins?.registered();
    this.#pluginsAreTold = true;
  }

  async #register(facts: NodeFacts): Promise<Node> {
    const { client, name, labels, taints } = this.options;
    const node = newNode(facts, labels, taints, this.options.providerId);
    node.status = nodeStatus(facts, undefined, Date.now());
    try {
      const created = await client.create(nodes, node);
      this.#tell(...nodeEvents(name, node.status, undefined));
      return created;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      return await client.get(nodes, { name });
    }
  }

  async #keepLabels(facts: NodeFacts): Promise<void> {
    const { client, labels, name } = this.options;
    const wanted = { ...labels, ...ownLabels(facts) };
    const present = this.#node?.metadata.labels ?? {};
    // Something was unplugged, or the card has moved into another board.
    const gone = Object.keys(present).filter((key) => key.startsWith(boardLabelPrefix) && !(key in wanted));
    const changes = [
      ...Object.entries(wanted).filter(([key, value]) => present[key] !== value),
      ...gone.map((key) => [key, null] as const),
    ];
    if (changes.length === 0) return;
    const body = { metadata: { labels: Object.fromEntries(changes) } };
    this.#node = newer(this.#node, await client.patch(nodes, { name }, { type: "merge", body }));
  }

  async #facts(): Promise<NodeFacts> {
    const { options } = this;
    await this.#runtime.ask(this.#stop.signal);
    const { version, images, trouble } = this.#runtime;
    const headroom = await this.#headroom();
    const { pressures, shortages } = this.#gauge.look(headroom, performance.now());
    options.onLook(shortages);
    const disk = await options.host.statfs(options.dataFolder);
    const sensors = await readSensors();
    await this.#remember({
      memoryUsed_bytes: options.board.memory_bytes - headroom.memory.available,
      diskUsed_bytes: disk.capacity_bytes - disk.available_bytes,
      ...hottestOf(sensors),
    });
    const peripherals = await this.#peripherals.look();
    await options.plugins?.offer(peripherals, this.#peripherals.fingerprint);
    return {
      name: options.name,
      board: options.board,
      peripherals,
      runtime: version,
      addresses: options.addresses(),
      maxPods: options.maxPods,
      kubeletPort: options.kubeletPort,
      reserved: options.reserved,
      eviction: options.eviction,
      mostImages: options.mostImages,
      countsLocalStorage: options.countsLocalStorage,
      ephemeralStorage_bytes: disk.capacity_bytes,
      volumesInUse: options.plugins?.volumesInUse() ?? [],
      devices: options.plugins?.devices.counts() ?? { capacity: {}, allocatable: {} },
      images,
      pressures,
      strains: this.#strainGauge.update(sensors, performance.now()),
      troubles: [...(trouble ? [trouble] : []), ...options.troubles()],
    };
  }

  /** Is the board short of nothing any more, and has what was to be reclaimed? */
  async isRelieved(): Promise<boolean> {
    return this.#gauge.isRelieved(await this.#headroom());
  }

  #headroom(): Promise<Headroom> {
    const { host, dataFolder } = this.options;
    return readHeadroom(host, dataFolder, this.#runtime.version?.rootDirectory ?? dataFolder);
  }

  async #remember(measured: Parameters<UsageHistory["record"]>[2]): Promise<void> {
    const { history } = this.options;
    if (history.isDue(performance.now())) history.record(performance.now(), await readUsageCounters(), measured);
  }

  #tell(...events: readonly EventToRecord[]): void {
    for (const event of events) this.options.recorder.record(boardReference(this.options.name), event);
  }
}

function hottestOf({ temperatures }: SensorReadings): { temperature_celsius?: number } {
  return temperatures.length === 0
    ? {}
    : { temperature_celsius: Math.max(...temperatures.map(({ celsius }) => celsius)) };
}

const readiness = (status: NodeStatus | undefined): string | undefined => statusOf(status, "Ready");

/** Of two sights of the Node the later one: a watch may be ahead of the answer to a write. Resource versions of one
 *  resource are ordered (KEP-5504). */
function newer(known: Node | undefined, seen: Node): Node {
  if (!known || known.metadata.uid !== seen.metadata.uid) return seen;
  return BigInt(known.metadata.resourceVersion ?? 0) > BigInt(seen.metadata.resourceVersion ?? 0) ? known : seen;
}

/** Addresses merge by type unless told otherwise, and a board has one list of images. */
function statusPatch(status: NodeStatus): object {
  return { ...status, addresses: [...(status.addresses ?? []), { $patch: "replace" }] };
}
