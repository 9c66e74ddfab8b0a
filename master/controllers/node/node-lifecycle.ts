import { leases, nodes, pods } from "#shared/api/resources.ts";
import { type ControllerDefinition, defineController, watching } from "#shared/client/controller.ts";
import { tellAlso } from "#shared/metrics/process-families.ts";
import { isPodReady } from "../pod-condition.ts";
import type { EvictionRates } from "./eviction-pace.ts";
import { defaultHealthSettings, type HealthSettings } from "./health.ts";
import { leaseScope, NodeMonitor } from "./node-monitor.ts";
import { podsByNode } from "./pods-by-node.ts";
import type { StrainPolicy } from "./taints.ts";
import { ZoneCounts } from "./zone-counts.ts";

/**
 * Watches over boards. A node whose session is lost, or that is silent for too long, gets its conditions Unknown; taints
 * follow conditions; the pods of a node that nothing is heard of count as not ready at once, so that Services leave them
 * out.
 */
export function nodeLifecycleController(
  settings: HealthSettings = defaultHealthSettings,
  strained: StrainPolicy = "none",
  rates?: EvictionRates,
): ControllerDefinition {
  const counts = new ZoneCounts();
  /** While the controller runs: what it has seen of nodes means nothing to a later run. */
  let monitor: NodeMonitor | undefined;
  return defineController({
    name: "node-controller",
    watches: [
      watching(nodes, { observe: ({ object }) => monitor?.count(object.metadata.name ?? "") }),
      watching(leases, { scope: leaseScope, enqueue: ({ metadata }) => [metadata.name ?? ""] }),
      watching(pods, {
        indexes: podsByNode,
        enqueue: ({ spec }) => (spec?.nodeName && monitor?.expectUnreadyPod(spec.nodeName) ? [spec.nodeName] : []),
        when: ({ type, object }) => type !== "delete" && isPodReady(object),
      }),
    ],
    start(context) {
      const begun = new NodeMonitor(context, { settings, strained, counts, rates });
      const tellNoMore = tellAlso(() => counts.families(begun.zones));
      context.signal.addEventListener("abort", () => {
        begun.stop();
        tellNoMore();
        monitor = undefined;
      });
      monitor = begun;
    },
    reconcile: async (name) => monitor?.look(name),
  });
}
