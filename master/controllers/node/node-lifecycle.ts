import { isNotFound } from "#shared/api/errors.ts";
import { leases, nodes, pods } from "#shared/api/resources.ts";
import type { Lease } from "#shared/api/types/coordination-v1.generated.ts";
import type { Node, Pod, Taint } from "#shared/api/types/core-v1.generated.ts";
import { timestamp } from "#shared/client/clock.ts";
import {
  type ControllerContext,
  type ControllerDefinition,
  defineController,
  watching,
} from "#shared/client/controller.ts";
import { ListeningClock } from "#shared/heartbeat/listening-clock.ts";
import { nodeLeaseNamespace, sessionStateAnnotation } from "#shared/heartbeat/messages.ts";
import { tellAlso } from "#shared/metrics/process-families.ts";
import { isPodReady, writePodCondition } from "../pod-condition.ts";
import { EvictionTurns } from "./eviction-pace.ts";
import { FleetCensus } from "./fleet-census.ts";
import {
  defaultHealthSettings,
  type HealthSettings,
  type Heard,
  hear,
  judge,
  readyCondition,
  type SignsOfLife,
  unknownConditions,
} from "./health.ts";
import { nodeReference } from "./node-reference.ts";
import {
  type EvictionVerdict,
  evictingTaintOf,
  isBeingEmptied,
  type StrainPolicy,
  taintsAfter,
  zoneOf,
} from "./taints.ts";
import { ZoneCounts } from "./zone-counts.ts";

const leaseScope = { namespace: nodeLeaseNamespace };

export const podsByNode = {
  node: ({ spec }: Pod): readonly string[] => (spec?.nodeName ? [spec.nodeName] : []),
};

interface Memory {
  uid: string | undefined;
  heard: Heard;
  /** What was known of the node when its session was first seen as lost. */
  lastSigns: SignsOfLife | undefined;
  ready: string | undefined;
  /** It is not believed to be well, though it is still given time. */
  isDoubtful: boolean;
}

/**
 * Watches over boards. A node whose session is lost, or that is silent for too long, gets its conditions Unknown; taints
 * follow conditions; the pods of a node that nothing is heard of count as not ready at once, so that Services leave them
 * out.
 */
export function nodeLifecycleController(
  settings: HealthSettings = defaultHealthSettings,
  strained: StrainPolicy = "none",
): ControllerDefinition {
  const memories = new Map<string, Memory>();
  const census = new FleetCensus();
  const counts = new ZoneCounts();
  /** Nodes of which pods may count as ready that are not to. Whose pods have been looked at needs no further look. */
  const unsettled = new Set<string>();
  let turns = new EvictionTurns();
  /** Nobody was silent while this process could not listen. */
  let listening: ListeningClock | undefined;
  const listen = ({ clock, signal }: ControllerContext): ListeningClock => {
    if (listening) return listening;
    const begun = new ListeningClock(clock);
    begun.start();
    listening = begun;
    const tellNoMore = tellAlso(() => counts.families(census.zones));
    signal.addEventListener("abort", () => {
      begun.stop();
      tellNoMore();
      listening = undefined;
      memories.clear();
      census.clear();
      unsettled.clear();
      turns = new EvictionTurns();
    });
    return begun;
  };
  /** Counts the node as it is. How many are well decides on the taints of all, so a new pace is for all to look at. */
  const count = (name: string, node: Node | undefined, { lister, queue }: ControllerContext): void => {
    const isWell = node && readyCondition(node)?.status === "True" && !memories.get(name)?.isDoubtful;
    const isNewPace = node ? census.set(name, zoneOf(node), isWell === true) : census.delete(name);
    if (isNewPace) for (const one of lister(nodes).keys()) queue.add(one);
  };
  const forget = (name: string, { events }: ControllerContext): undefined => {
    const uid = memories.get(name)?.uid;
    unsettled.delete(name);
    if (!memories.delete(name)) return;
    const message = `Node ${name} event: Removing Node ${name} from Controller`;
    events.record({ apiVersion: "v1", kind: "Node", name, uid }, { type: "Normal", reason: "RemovingNode", message });
  };
  const noteReady = (node: Node, former: string | undefined, ready: string, { events }: ControllerContext): void => {
    const { name = "" } = node.metadata;
    if (ready === "True") unsettled.delete(name);
    // A board that says itself that it is not ready goes on telling how its pods are.
    if (ready !== "Unknown" || former === ready) return;
    unsettled.add(name);
    if (former !== "True") return;
    const message = `Node ${name} status is now: NodeNotReady`;
    events.record(nodeReference(node), { type: "Normal", reason: "NodeNotReady", message });
  };
  const settlePods = async (name: string, context: ControllerContext): Promise<void> => {
    if (!unsettled.delete(name)) return;
    try {
      await setPodsNotReady(name, context);
    } catch (error) {
      unsettled.add(name);
      throw error;
    }
  };
  return defineController({
    name: "node-controller",
    watches: [
      watching(nodes, {
        observe: ({ object }, context) => {
          const { name = "" } = object.metadata;
          count(name, context.lister(nodes).get(name), context);
        },
      }),
      watching(leases, { scope: leaseScope, enqueue: ({ metadata }) => [metadata.name ?? ""] }),
      watching(pods, {
        indexes: podsByNode,
        enqueue: ({ spec }) => {
          const { nodeName } = spec;
          if (!nodeName || memories.get(nodeName)?.ready !== "Unknown") return [];
          unsettled.add(nodeName);
          return [nodeName];
        },
        when: ({ type, object }) => type !== "delete" && isPodReady(object),
      }),
    ],
    async reconcile(key, context) {
      const node = context.lister(nodes).get(key);
      if (!node) return forget(key, context);
      const lease = context.lister(leases, leaseScope).get(`${nodeLeaseNamespace}/${key}`);
      const now_ms = listen(context).now_ms();
      const memory = remember(memories.get(key), node, lease, now_ms, settings);
      const former = memory.ready;
      memories.set(key, memory);
      if (former === undefined) {
        const message = `Node ${key} event: Registered Node ${key} in Controller`;
        context.events.record(nodeReference(node), { type: "Normal", reason: "RegisteredNode", message });
      }

      const reachability = judge(node, lease, memory.heard, memory.lastSigns, now_ms, settings);
      const current = reachability.kind === "unreachable" ? await setUnknown(node, context) : node;
      memory.ready = readyCondition(current)?.status ?? "none";
      memory.isDoubtful = reachability.kind === "reachable" && reachability.isDoubtful;
      // Noted before anything can go wrong, after which it would be no change any more.
      noteReady(node, former, memory.ready, context);
      count(key, current, context);
      const { verdict, wait_ms } = judgeEviction(current, census, turns, now_ms);
      const taints = await setTaints(current, verdict, strained, context);
      if (taints && isBeingEmptied({ spec: { taints } }) && !isBeingEmptied(current)) counts.evicted(zoneOf(current));
      await setLabels(current, context);
      await settlePods(key, context);
      const waits_ms = [...(reachability.kind === "reachable" ? [reachability.lookAgainAfter_ms] : []), ...wait_ms];
      return waits_ms.length > 0 ? { requeueAfter_ms: Math.min(...waits_ms) } : undefined;
    },
  });
}

function remember(
  last: Memory | undefined,
  node: Node,
  lease: Lease | undefined,
  now_ms: number,
  settings: HealthSettings,
): Memory {
  const heard = hear(node, lease, last?.heard, now_ms, settings);
  const lost = isLost(lease);
  const wasLost = last?.heard.session === heard.session;
  return {
    uid: node.metadata.uid,
    heard,
    lastSigns: lost ? (wasLost && last?.lastSigns ? last.lastSigns : heard) : undefined,
    ready: last?.ready,
    isDoubtful: last?.isDoubtful ?? false,
  };
}

const isLost = (lease: Lease | undefined): boolean => lease?.metadata.annotations?.[sessionStateAnnotation] === "lost";

async function setUnknown(node: Node, { client, clock, lister }: ControllerContext): Promise<Node> {
  const conditions = unknownConditions(node, timestamp(clock));
  if (!conditions) return node;
  // The resourceVersion makes sure that a kubelet that has just come back is not overruled.
  const present = lister(nodes).get(node.metadata.name ?? "") ?? node;
  return client.update(nodes, { ...present, status: { ...present.status, conditions } }, { subresource: "status" });
}

/** Whether the node may be emptied now, and how long it has to wait for its turn if it has to. */
function judgeEviction(
  node: Node,
  census: FleetCensus,
  turns: EvictionTurns,
  now_ms: number,
): { readonly verdict: EvictionVerdict; readonly wait_ms: readonly number[] } {
  const { name = "" } = node.metadata;
  const zone = zoneOf(node);
  const pace = census.pace(zone);
  turns.noteFleet(census.isAllDown, now_ms);
  if (pace.kind === "take back") return { verdict: "take back", wait_ms: [] };
  if (!evictingTaintOf(node)) turns.forget(zone, name);
  if (pace.perSecond === 0) return { verdict: "hold", wait_ms: [] };
  if (!evictingTaintOf(node) || isBeingEmptied(node)) return { verdict: "evict", wait_ms: [] };
  const returning_ms = turns.returning_ms(now_ms);
  if (returning_ms > 0) return { verdict: "wait", wait_ms: [returning_ms] };
  const wait_ms = turns.take(zone, name, pace.perSecond, now_ms);
  return wait_ms > 0 ? { verdict: "wait", wait_ms: [wait_ms] } : { verdict: "evict", wait_ms: [] };
}

/** Gives what was written; undefined where there was nothing to change. */
async function setTaints(
  node: Node,
  eviction: EvictionVerdict,
  strained: StrainPolicy,
  { client, clock }: ControllerContext,
): Promise<Taint[] | undefined> {
  const taints = taintsAfter(node, eviction, timestamp(clock), strained);
  if (!taints) return undefined;
  const { name = "", resourceVersion } = node.metadata;
  const body = { metadata: { resourceVersion }, spec: { taints } };
  await client.patch(nodes, { name }, { type: "merge", body });
  return taints;
}

/** The names that these labels had before they were stable; old selectors still ask for them. */
const betaLabels = [
  ["kubernetes.io/os", "beta.kubernetes.io/os"],
  ["kubernetes.io/arch", "beta.kubernetes.io/arch"],
] as const;

async function setLabels({ metadata }: Node, { client }: ControllerContext): Promise<void> {
  const { name = "", labels = {} } = metadata;
  const wrong = betaLabels.filter(([stable, beta]) => labels[stable] !== undefined && labels[beta] !== labels[stable]);
  if (wrong.length === 0) return;
  const body = { metadata: { labels: Object.fromEntries(wrong.map(([stable, beta]) => [beta, labels[stable]])) } };
  await client.patch(nodes, { name }, { type: "merge", body });
}

async function setPodsNotReady(nodeName: string, { client, clock, lister, events }: ControllerContext): Promise<void> {
  for (const pod of lister(pods).byIndex("node", nodeName)) {
    if (!isPodReady(pod)) continue;
    const { reason, message } = pod.status?.conditions?.find(({ type }) => type === "Ready") ?? {};
    try {
      await writePodCondition(client, clock, pod, { type: "Ready", status: "False", reason, message });
      events.record(pod, { type: "Warning", reason: "NodeNotReady", message: "Node is not ready" });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
