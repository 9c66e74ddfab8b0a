import { isNotFound } from "#shared/api/errors.ts";
import { splitKey } from "#shared/api/object.ts";
import { isTerminal } from "#shared/api/pod-phase.ts";
import { nodes, pods } from "#shared/api/resources.ts";
import { wellKnownTaints } from "#shared/api/scheduling/taints.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import {
  type ControllerContext,
  type ControllerDefinition,
  defineController,
  watching,
} from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { Turn } from "#shared/process/turn.ts";
import { podCollectionErrors, podCollections } from "./controller-counts.ts";
import { isNodeReady, readyCondition } from "./node/health.ts";
import { podsByNode } from "./node/pods-by-node.ts";
import { writePodCondition } from "./pod-condition.ts";

export interface PodGcSettings {
  /** Ended pods that may stay in the whole cluster. */
  readonly mostTerminated: number;
  /** How long a pod's node must have been missing. */
  readonly quarantine_ms: number;
}
export const defaultPodGcSettings: PodGcSettings = { mostTerminated: 12_500, quarantine_ms: 40_000 };

type Fate = "stays" | "node is gone" | "never ran" | "node is out of service";

/** The key, which no pod has, under which surplus ended pods are removed: for all of them one look at all. */
const surplus = "surplus";
/** As often as upstream looks. */
const thinning_ms = 20_000;

const ended = ["ended", "yes"] as const;

/** Why a pod goes, in the words of upstream's metrics. */
const goingReasons = {
  "node is gone": "orphaned",
  "never ran": "unscheduled",
  "node is out of service": "out-of-service",
  surplus: "terminated",
} as const;

/** What is to become of a pod that nobody else takes care of (pure). */
export function fateOf(pod: Pod, node: Node | undefined): Fate {
  const deleted = pod.metadata.deletionTimestamp !== undefined;
  if (!pod.spec?.nodeName) return deleted ? "never ran" : "stays";
  if (!node) return "node is gone";
  const ready = isNodeReady(node);
  return deleted && isOutOfService(node) && !ready ? "node is out of service" : "stays";
}

const isOutOfService = ({ spec }: Node): boolean =>
  spec?.taints?.some(({ key }) => key === wellKnownTaints.outOfService) ?? false;

/** Removes pods that no kubelet will: of nodes that are gone or out of service, those deleted before they were scheduled,
 *  and the oldest of very many that have ended. */
export function podGarbageCollector(settings: PodGcSettings = defaultPodGcSettings): ControllerDefinition {
  const missingSince = new Map<string, number>();
  return defineController({
    name: "pod-garbage-collector-controller",
    serviceAccount: "pod-garbage-collector",
    watches: [
      watching(pods, {
        indexes: { ...podsByNode, ended: (pod) => (isTerminal(pod) ? ["yes"] : []) },
        when: (event) =>
          event.type !== "update" ||
          isTerminal(event.object) ||
          event.object.metadata.deletionTimestamp !== undefined ||
          event.old.spec?.nodeName !== event.object.spec?.nodeName,
      }),
      watching(nodes, {
        enqueue: ({ metadata }, { lister }) => lister(pods).keysByIndex("node", metadata.name ?? ""),
        when: (event) =>
          event.type !== "update" ||
          (isOutOfService(event.object) &&
            (!isOutOfService(event.old) || readyCondition(event.old)?.status !== readyCondition(event.object)?.status)),
      }),
    ],
    resync_s: 300,
    async reconcile(key, context) {
      const { lister, client, clock } = context;
      if (key === surplus) return thinOut(context, settings.mostTerminated);
      const pod = lister(pods).get(key);
      if (!pod) return undefined;
      const nodeName = pod.spec?.nodeName ?? "";
      const fate = fateOf(pod, lister(nodes).get(nodeName));
      if (fate !== "node is gone") missingSince.delete(nodeName);
      if (fate === "stays") {
        if (isTerminal(pod) && lister(pods).countByIndex(...ended) > settings.mostTerminated)
          context.queue.addAfter(surplus, thinning_ms);
        return undefined;
      }
      if (fate === "node is gone") {
        const since_ms = missingSince.get(nodeName) ?? clock.now_ms();
        missingSince.set(nodeName, since_ms);
        const left_ms = since_ms + settings.quarantine_ms - clock.now_ms();
        if (left_ms > 0) return { requeueAfter_ms: left_ms };
        if (await unlessGone(client.get(nodes, { name: nodeName })))
          throw new Error(`the cache does not show node ${nodeName} yet`);
      }
      await failAndDelete(context, pod, fate);
      return undefined;
    },
  });
}

const nodeGone = {
  type: "DisruptionTarget",
  status: "True",
  reason: "DeletionByPodGC",
  message: "PodGC: node no longer exists",
};

/** A pod that goes without its kubelet's word is marked as failed first, so that its controller counts it right. */
async function failAndDelete(
  { client, clock }: ControllerContext,
  pod: Pod,
  why: keyof typeof goingReasons,
): Promise<void> {
  const { namespace, name = "", uid, generation: observedGeneration } = pod.metadata;
  const failed = { phase: "Failed", observedGeneration };
  const labels = [namespace ?? "", goingReasons[why]];
  try {
    if (!isTerminal(pod)) {
      if (why === "node is gone")
        await writePodCondition(client, clock, pod, { ...nodeGone, observedGeneration }, failed);
      else {
        const body = { metadata: { uid }, status: failed };
        await client.patch(pods, { namespace, name }, { type: "strategic", body }, { subresource: "status" });
      }
    }
    await client.delete(pods, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } });
    podCollections.add(labels);
  } catch (error) {
    if (isNotFound(error)) return;
    podCollectionErrors.add(labels);
    throw error;
  }
}

/** What decides on who goes first. */
interface Ended {
  readonly key: string;
  readonly isEvicted: boolean;
  readonly created: string;
}

async function thinOut(context: ControllerContext, most: number): Promise<undefined> {
  const all = context.lister(pods);
  const left = all.countByIndex(...ended) - most;
  if (left <= 0) return undefined;
  const found: Ended[] = [];
  // One after the other: all of them parsed at once would take many times what their texts do.
  const turn = new Turn();
  for (const key of all.keysByIndex(...ended)) {
    const pod = all.get(key);
    if (pod) {
      const { metadata, status } = pod;
      const isEvicted = status?.phase === "Failed" && status.reason === "Evicted";
      found.push({ key, isEvicted, created: metadata.creationTimestamp ?? "" });
    }
    await turn.pause();
  }
  found.sort(
    (a, b) =>
      Number(b.isEvicted) - Number(a.isEvicted) ||
      a.created.localeCompare(b.created) ||
      nameOf(a.key).localeCompare(nameOf(b.key)),
  );
  for (const { key } of found.slice(0, left)) {
    const pod = all.get(key);
    if (pod) await failAndDelete(context, pod, "surplus");
  }
  return undefined;
}

const nameOf = (key: string): string => splitKey(key).name;
