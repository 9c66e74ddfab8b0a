import { isNotFound } from "#shared/api/errors.ts";
import { splitKey } from "#shared/api/object.ts";
import { nodes, pods } from "#shared/api/resources.ts";
import { tolerates } from "#shared/api/scheduling/taints.ts";
import type { Node, Pod, Taint, Toleration } from "#shared/api/types/core-v1.generated.ts";
import { type ControllerDefinition, defineController, watching } from "#shared/client/controller.ts";
import { taintDeletions, taintDeletionTimes } from "../controller-counts.ts";
import { writePodCondition } from "../pod-condition.ts";
import { podsByNode } from "./pods-by-node.ts";

const noExecute = ({ spec }: Node): Taint[] => (spec?.taints ?? []).filter(({ effect }) => effect === "NoExecute");

/**
 * How long a pod may stay under these NoExecute taints, from when they were first seen (pure): 0 when one is not
 * tolerated, the shortest `tolerationSeconds` of those that are, infinity when none limits it. Of several tolerations of
 * one taint the first counts.
 */
export function tolerated_s(taints: readonly Taint[], tolerations: readonly Toleration[]): number {
  let shortest_s = Number.POSITIVE_INFINITY;
  for (const taint of taints) {
    const matching = tolerations.find((toleration) => tolerates(toleration, taint));
    if (!matching) return 0;
    const { tolerationSeconds } = matching;
    if (tolerationSeconds !== undefined) shortest_s = Math.min(shortest_s, Math.max(0, Number(tolerationSeconds)));
  }
  return shortest_s;
}

/** Deletes pods from nodes whose NoExecute taints they do not tolerate, or no longer. */
export function taintEvictionController(): ControllerDefinition {
  /** When each pod that will have to go was first seen under taints, with its UID, by its key. */
  const since = new Map<string, { readonly uid: string; readonly first_ms: number }>();
  return defineController({
    name: "taint-eviction-controller",
    serviceAccount: "node-controller",
    watches: [
      watching(nodes, {
        when: (event) =>
          event.type !== "update" || JSON.stringify(noExecute(event.old)) !== JSON.stringify(noExecute(event.object)),
        enqueue: ({ metadata }, { lister }) => lister(pods).keysByIndex("node", metadata.name ?? ""),
      }),
      watching(pods, {
        indexes: podsByNode,
        when: (event) => event.type !== "update" || matters(event.old, event.object),
      }),
    ],
    async reconcile(key, { lister, client, clock, events }) {
      const pod = lister(pods).get(key);
      const uid = pod?.metadata.uid ?? "";
      const cancel = (): undefined => {
        const message = `Cancelling deletion of Pod ${key}`;
        const about = { apiVersion: "v1", kind: "Pod", ...splitKey(key) };
        if (since.delete(key)) events.record(about, { type: "Normal", reason, message });
      };
      if (!pod || (since.get(key)?.uid ?? uid) !== uid) cancel();
      if (!pod || pod.metadata.deletionTimestamp) return undefined;
      const node = lister(nodes).get(pod.spec?.nodeName ?? "");
      const taints = node ? noExecute(node) : [];
      const stay_s = tolerated_s(taints, pod.spec?.tolerations ?? []);
      if (taints.length === 0 || stay_s === Number.POSITIVE_INFINITY) return cancel();
      const first_ms = since.get(key)?.first_ms ?? clock.now_ms();
      since.set(key, { uid, first_ms });
      const left_ms = first_ms + stay_s * 1000 - clock.now_ms();
      if (left_ms > 0) return { requeueAfter_ms: left_ms };
      events.record(pod, { type: "Normal", reason, message: `Marking for deletion Pod ${key}` });
      try {
        await writePodCondition(client, clock, pod, {
          type: "DisruptionTarget",
          status: "True",
          reason: "DeletionByTaintManager",
          message: "Taint manager: deleting due to NoExecute taint",
          observedGeneration: pod.metadata.generation,
        });
        await client.delete(pods, splitKey(key), { preconditions: { uid } });
        taintDeletions.add();
        taintDeletionTimes.observe((clock.now_ms() - first_ms - stay_s * 1000) / 1000);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      since.delete(key);
      return undefined;
    },
  });
}

const reason = "TaintManagerEviction";

const matters = (old: Pod, now: Pod): boolean =>
  old.spec?.nodeName !== now.spec?.nodeName ||
  old.metadata.deletionTimestamp !== now.metadata.deletionTimestamp ||
  JSON.stringify(old.spec?.tolerations) !== JSON.stringify(now.spec?.tolerations);
