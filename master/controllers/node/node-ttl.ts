import { nodes } from "#shared/api/resources.ts";
import { defineController, everyKeyOf, watching } from "#shared/client/controller.ts";

const annotation = "node.alpha.kubernetes.io/ttl";

/** Steps overlap, so that a fleet of about 100 boards does not change its mind with each that comes or goes. */
const steps = [
  { fewest: 0, most: 100, ttl_s: 0 },
  { fewest: 90, most: 500, ttl_s: 15 },
  { fewest: 450, most: 1000, ttl_s: 30 },
  { fewest: 900, most: 2000, ttl_s: 60 },
  { fewest: 1800, most: Number.POSITIVE_INFINITY, ttl_s: 300 },
] as const;

/** How long a kubelet may keep Secrets and ConfigMaps before it asks again (pure): the present answer while its step still
 *  covers the fleet, else that of the nearest step which does. */
export function ttlFor(nodeCount: number, present_s: number | undefined): number {
  const covering = steps.filter(({ fewest, most }) => nodeCount >= fewest && nodeCount <= most);
  const kept = covering.find(({ ttl_s }) => ttl_s === present_s);
  return (kept ?? covering[0] ?? steps[0]).ttl_s;
}

/** Tells each node by an annotation how long its kubelet may keep Secrets and ConfigMaps. */
export const nodeTtlController = defineController({
  name: "ttl-controller",
  watches: [
    watching(nodes, {
      // The number of nodes decides, so one that comes or goes concerns all of them.
      enqueue: everyKeyOf(nodes),
      when: (event) =>
        event.type !== "update" ||
        event.old.metadata.annotations?.[annotation] !== event.object.metadata.annotations?.[annotation],
      batch_ms: 500,
    }),
  ],
  concurrency: 1,
  async reconcile(name, { lister, client }) {
    const node = lister(nodes).get(name);
    if (!node) return;
    const present = node.metadata.annotations?.[annotation];
    const wanted = String(ttlFor(lister(nodes).size, present === undefined ? undefined : Number(present)));
    if (present === wanted) return;
    const body = { metadata: { annotations: { [annotation]: wanted } } };
    await client.patch(nodes, { name }, { type: "merge", body });
  },
});
