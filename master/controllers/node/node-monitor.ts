import { leases, nodes } from "#shared/api/resources.ts";
import { earliest } from "#shared/api/time.ts";
import type { Node, ObjectReference } from "#shared/api/types/core-v1.generated.ts";
import { timestamp } from "#shared/client/clock.ts";
import type { ControllerContext, ReconcileResult } from "#shared/client/controller.ts";
import { ListeningClock } from "#shared/heartbeat/listening-clock.ts";
import { nodeLeaseNamespace } from "#shared/heartbeat/messages.ts";
import { type EvictionRates, EvictionTurns, type ZoneCount } from "./eviction-pace.ts";
import { judgeEviction } from "./eviction-verdict.ts";
import { FleetCensus } from "./fleet-census.ts";
import {
  type HealthSettings,
  isNodeReady,
  judge,
  type Reachability,
  readyCondition,
  unknownConditions,
} from "./health.ts";
import { heardAgain, type NodeHealthRecord } from "./node-health-record.ts";
import { nodeReference } from "./node-reference.ts";
import { isBeingEmptied, type StrainPolicy, taintsAfter, zoneOf } from "./taints.ts";
import { UnreadyPods } from "./unready-pods.ts";
import type { ZoneCounts } from "./zone-counts.ts";

export const leaseScope = { namespace: nodeLeaseNamespace };

export interface NodeMonitorOptions {
  readonly settings: HealthSettings;
  readonly strained: StrainPolicy;
  readonly counts: ZoneCounts;
  readonly rates?: EvictionRates | undefined;
}

/** Looks at one node after the other and writes what follows: conditions, taints, labels, and that its pods are not ready. */
export class NodeMonitor {
  readonly #context: ControllerContext;
  readonly #options: NodeMonitorOptions;
  readonly #records = new Map<string, NodeHealthRecord>();
  readonly #census: FleetCensus;
  readonly #turns = new EvictionTurns();
  readonly #unreadyPods = new UnreadyPods();
  /** Nobody was silent while this process could not listen. */
  readonly #listening: ListeningClock;

  /** The caches have to be full. */
  constructor(context: ControllerContext, options: NodeMonitorOptions) {
    this.#context = context;
    this.#options = options;
    this.#census = new FleetCensus(options.rates);
    this.#listening = new ListeningClock(context.clock);
    this.#listening.start();
    for (const name of context.lister(nodes).keys()) this.count(name);
  }

  stop(): void {
    this.#listening.stop();
  }

  /** How many nodes each zone has, and how many of them are well. */
  get zones(): ReadonlyMap<string, ZoneCount> {
    return this.#census.zones;
  }

  /** Counts the node as it is. How many are well decides on the taints of all, so a new pace is for all to look at. */
  count(name: string, node: Node | undefined = this.#context.lister(nodes).get(name)): void {
    const { lister, queue } = this.#context;
    const isWell = node && isNodeReady(node) && !this.#records.get(name)?.isDoubtful;
    const isNewPace = node ? this.#census.set(name, zoneOf(node), isWell === true) : this.#census.delete(name);
    if (isNewPace) for (const one of lister(nodes).keys()) queue.add(one);
  }

  /** A pod of the node counts as ready. Says whether it is not to, because nothing is heard of the node. */
  expectUnreadyPod(nodeName: string): boolean {
    if (this.#records.get(nodeName)?.ready !== "Unknown") return false;
    this.#unreadyPods.expect(nodeName);
    return true;
  }

  /** One look at a node, and all that is to be written after it. */
  async look(name: string): Promise<ReconcileResult> {
    const node = this.#context.lister(nodes).get(name);
    if (!node) return this.#forget(name);
    const now_ms = this.#listening.now_ms();
    const { current, reachability } = await this.#updateHealth(name, node, now_ms);
    const turn_ms = await this.#updateTaints(current, now_ms);
    await this.#addBetaLabels(current);
    await this.#unreadyPods.mark(name, this.#context);
    const silence_ms = reachability.kind === "reachable" ? reachability.lookAgainAfter_ms : undefined;
    const requeueAfter_ms = earliest([silence_ms, turn_ms]);
    return requeueAfter_ms === undefined ? undefined : { requeueAfter_ms };
  }

  #forget(name: string): undefined {
    const uid = this.#records.get(name)?.uid;
    this.#unreadyPods.forget(name);
    if (!this.#records.delete(name)) return;
    const about = nodeReference({ metadata: { name, uid } });
    this.#record(about, "RemovingNode", `Node ${name} event: Removing Node ${name} from Controller`);
  }

  /** Takes in what node and Lease show; a node that cannot be reached gets its conditions Unknown. */
  async #updateHealth(
    name: string,
    node: Node,
    now_ms: number,
  ): Promise<{ current: Node; reachability: Reachability }> {
    const { settings } = this.#options;
    const lease = this.#context.lister(leases, leaseScope).get(`${nodeLeaseNamespace}/${name}`);
    const record = heardAgain(this.#records.get(name), node, lease, now_ms, settings);
    this.#records.set(name, record);
    if (record.ready === undefined) {
      const message = `Node ${name} event: Registered Node ${name} in Controller`;
      this.#record(nodeReference(node), "RegisteredNode", message);
    }

    const reachability = judge(node, lease, record.heard, record.lastSigns, now_ms, settings);
    const current = reachability.kind === "unreachable" ? await this.#setUnknown(node) : node;
    // Noted before anything else can go wrong, after which it would be no change any more.
    this.#noteHealth(name, current, record, reachability);
    return { current, reachability };
  }

  #noteHealth(name: string, node: Node, record: NodeHealthRecord, reachability: Reachability): void {
    const ready = readyCondition(node)?.status ?? "none";
    const isDoubtful = reachability.kind === "reachable" && reachability.isDoubtful;
    this.#records.set(name, { ...record, ready, isDoubtful });
    this.count(name, node);
    if (ready === "True") this.#unreadyPods.forget(name);
    // A board that says itself that it is not ready goes on telling how its pods are.
    if (ready !== "Unknown" || record.ready === "Unknown") return;
    this.#unreadyPods.expect(name);
    if (record.ready !== "True") return;
    this.#record(nodeReference(node), "NodeNotReady", `Node ${name} status is now: NodeNotReady`);
  }

  async #setUnknown(node: Node): Promise<Node> {
    const { client, clock } = this.#context;
    const conditions = unknownConditions(node, timestamp(clock));
    if (!conditions) return node;
    // The resourceVersion makes sure that a kubelet that has just come back is not overruled.
    return client.update(nodes, { ...node, status: { ...node.status, conditions } }, { subresource: "status" });
  }

  /** Taints follow conditions; those that evict pods, one node of a zone after the other. Gives how long the node has to
   *  wait for its turn, ms, if it has to. */
  async #updateTaints(node: Node, now_ms: number): Promise<number | undefined> {
    const { client, clock } = this.#context;
    const { strained, counts } = this.#options;
    const { verdict, wait_ms } = judgeEviction(node, this.#census, this.#turns, now_ms);
    const taints = taintsAfter(node, verdict, timestamp(clock), strained);
    if (!taints) return wait_ms;
    const { name = "", resourceVersion } = node.metadata;
    const body = { metadata: { resourceVersion }, spec: { taints } };
    await client.patch(nodes, { name }, { type: "merge", body });
    if (isBeingEmptied({ spec: { taints } }) && !isBeingEmptied(node)) counts.evicted(zoneOf(node));
    return wait_ms;
  }

  async #addBetaLabels({ metadata }: Node): Promise<void> {
    const { name = "", labels = {} } = metadata;
    const wrong = betaLabels.filter(
      ([stable, beta]) => labels[stable] !== undefined && labels[beta] !== labels[stable],
    );
    if (wrong.length === 0) return;
    const body = { metadata: { labels: Object.fromEntries(wrong.map(([stable, beta]) => [beta, labels[stable]])) } };
    await this.#context.client.patch(nodes, { name }, { type: "merge", body });
  }

  #record(about: ObjectReference, reason: string, message: string): void {
    this.#context.events.record(about, { type: "Normal", reason, message });
  }
}

/** The names that these labels had before they were stable; old selectors still ask for them. */
const betaLabels = [
  ["kubernetes.io/os", "beta.kubernetes.io/os"],
  ["kubernetes.io/arch", "beta.kubernetes.io/arch"],
] as const;
