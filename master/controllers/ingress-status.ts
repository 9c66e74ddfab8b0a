import { isServedIngress, servesIngress } from "#shared/api/ingress.ts";
import { splitKey } from "#shared/api/object.ts";
import { ingressClasses, ingresses, nodes } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import { defineController, everyKeyOf, watching } from "#shared/client/controller.ts";
import { boardIps, isUsable } from "./service-load-balancer/assignment.ts";

const gather_ms = 200;

/** Writes into Ingresses where they are served: the addresses of the boards that serve them and are ready. */
export const ingressStatus = defineController({
  name: "ingress-status",
  serviceAccount: "ingress-controller",
  watches: [
    watching(ingresses, { batch_ms: gather_ms }),
    watching(ingressClasses, { enqueue: everyKeyOf(ingresses) }),
    watching(nodes, {
      enqueue: everyKeyOf(ingresses),
      batch_ms: gather_ms,
      // Heartbeats change a Node often; what matters here, seldom.
      when: (event) => event.type !== "update" || facts(event.object) !== facts(event.old),
    }),
  ],
  resync_s: 600,
  async reconcile(key, { lister, client }) {
    const ingress = lister(ingresses).get(key);
    if (!ingress || !isServedIngress(ingress, lister(ingressClasses).list())) return undefined;
    const all = lister(nodes).list();
    const ips = all
      .filter((node) => isUsable(node) && servesIngress(node.metadata.name ?? "", all))
      .flatMap(boardIps)
      .sort();
    const present = (ingress.status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip);
    if (present.join() === ips.join()) return undefined;
    const body = {
      metadata: { uid: ingress.metadata.uid },
      status: { loadBalancer: { ingress: ips.map((ip) => ({ ip })) } },
    };
    await client.patch(ingresses, splitKey(key), { type: "merge", body }, { subresource: "status" });
    return undefined;
  },
});

function facts(node: Node): string {
  return JSON.stringify([node.metadata.labels, isUsable(node), boardIps(node)]);
}
