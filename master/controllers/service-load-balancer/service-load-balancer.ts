import { endpointSlices, nodes, services } from "#shared/api/resources.ts";
import type { LoadBalancerIngress, Node } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { type ControllerDefinition, defineController, watching } from "#shared/client/controller.ts";
import { type Assignment, assignBoards, isOurs } from "./assignment.ts";

/** Ports are shared by all Services, so that one look is at all of them. */
const all = "all";
const always = (): readonly string[] => [all];
const gather_ms = 200;
const byService = "load-balancer-service";
const balanced = "load-balanced";

/**
 * Gives Services of type LoadBalancer the addresses of the boards, as a cloud would give them a balancer's. The service
 * proxy of every board then answers there.
 */
export function serviceLoadBalancer(reserved: ReadonlyMap<string, string>): ControllerDefinition {
  /** What was said last of a Service that waits, by its uid. */
  const said = new Map<string, string>();
  return defineController({
    name: "service-load-balancer",
    eventSource: "service-controller",
    serviceAccount: "service-controller",
    watches: [
      watching(services, {
        enqueue: always,
        batch_ms: gather_ms,
        // Most Services have no balancer.
        indexes: { [balanced]: (service) => (isOurs(service) ? [all] : []) },
        when: ({ object, old }) => isOurs(object) || (old !== undefined && isOurs(old)),
      }),
      watching(nodes, {
        enqueue: always,
        batch_ms: gather_ms,
        // Heartbeats change a Node often; what matters here, seldom.
        when: (event) => event.type !== "update" || facts(event.object) !== facts(event.old),
      }),
      watching(endpointSlices, {
        enqueue: always,
        batch_ms: gather_ms,
        when: ({ object }) => object.metadata.labels?.["kubernetes.io/service-name"] !== undefined,
        indexes: { [byService]: serviceKeys },
      }),
    ],
    resync_s: 600,
    async reconcile(_key, { lister, client, events }) {
      const slices = lister(endpointSlices);
      const assignments = assignBoards({
        services: lister(services).byIndex(balanced, all),
        nodes: lister(nodes).list(),
        slicesOf: ({ metadata }) => slices.byIndex(byService, `${metadata.namespace}/${metadata.name}`),
        reserved,
      });
      for (const assignment of assignments) {
        const { service } = assignment;
        const { uid = "", namespace, name = "" } = service.metadata;
        const refusal = "refusal" in assignment ? assignment.refusal : undefined;
        if (refusal !== undefined && said.get(uid) !== refusal)
          events.record(service, { type: "Warning", reason: "SyncLoadBalancerFailed", message: failed(refusal) });
        if (refusal === undefined) said.delete(uid);
        else said.set(uid, refusal);
        const ingress = ingressOf(assignment);
        if (sameIngress(service.status?.loadBalancer?.ingress ?? [], ingress)) continue;
        const body = { metadata: { uid }, status: { loadBalancer: { ingress } } };
        await client.patch(services, { namespace, name }, { type: "merge", body }, { subresource: "status" });
        const message = "Ensured load balancer";
        if (refusal === undefined) events.record(service, { type: "Normal", reason: "EnsuredLoadBalancer", message });
      }
      const present = new Set(assignments.map(({ service }) => service.metadata.uid));
      for (const uid of said.keys()) if (!present.has(uid)) said.delete(uid);
      return undefined;
    },
  });
}

const failed = (why: string): string => `Error syncing load balancer: failed to ensure load balancer: ${why}`;

function ingressOf(assignment: Assignment): LoadBalancerIngress[] {
  return "ips" in assignment ? assignment.ips.map((ip) => ({ ip, ipMode: "VIP" })) : [];
}

function sameIngress(a: readonly LoadBalancerIngress[], b: readonly LoadBalancerIngress[]): boolean {
  return (
    a.length === b.length && a.every(({ ip, ipMode }, index) => ip === b[index]?.ip && ipMode === b[index]?.ipMode)
  );
}

function facts({ metadata, status }: Node): string {
  const ready = status?.conditions?.find(({ type }) => type === "Ready")?.status;
  return JSON.stringify([metadata.labels, metadata.deletionTimestamp, status?.addresses, ready]);
}

function serviceKeys({ metadata }: EndpointSlice): string[] {
  const service = metadata.labels?.["kubernetes.io/service-name"];
  return service === undefined ? [] : [`${metadata.namespace}/${service}`];
}
