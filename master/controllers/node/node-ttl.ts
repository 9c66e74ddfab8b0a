import { nodes } from "#shared/api/resources.ts";
import { type ControllerDefinition, defineController, everyKeyOf, watching } from "#shared/client/controller.ts";

const annotation = "node.alpha.kubernetes.io/ttl";

/** Steps overlap, so that a fleet of about 100 boards does not change its mind with each that comes or goes. */
const steps = [
  { fewest: 0, most: 100, ttl_s: 0 },
  { fewest: 90, most: 500, ttl_s: 15 },
  { fewest: 450, most: 1000, ttl_s: 30 },
  { fewest: 900, most: 2000, ttl_s: 60 },
  { fewest: 1800, most: Number.POSITIVE_INFINITY, ttl_s: 300 },
] as const;

/** How long kubelets may keep Secrets and ConfigMaps before they ask again, by the size of the fleet: one answer for all nodes, those
 *  that join included. It begins with the lowest step and leaves one only when that covers the fleet no more. */
export class FleetTtl {
  #index = 0;

  /** In seconds. */
  for(nodeCount: number): number {
    while (nodeCount > this.#step.most) this.#index++;
    while (nodeCount < this.#step.fewest) this.#index--;
    return this.#step.ttl_s;
  }

  get #step(): (typeof steps)[number] {
    return steps[this.#index] ?? steps[0];
  }
}

/** Tells each node by an annotation how long its kubelet may keep Secrets and ConfigMaps. */
export function nodeTtlController(): ControllerDefinition {
  const fleet = new FleetTtl();
  return defineController({
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
      const wanted = String(fleet.for(lister(nodes).size));
      if (present === wanted) return;
      const body = { metadata: { annotations: { [annotation]: wanted } } };
      await client.patch(nodes, { name }, { type: "merge", body });
    },
  });
}
