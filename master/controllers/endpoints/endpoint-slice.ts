import { isNotFound } from "#shared/api/errors.ts";
import { joinErrors, messageOf } from "#shared/api/joined-errors.ts";
import { keyOf } from "#shared/api/object.ts";
import { endpointSlices, nodes, pods, services } from "#shared/api/resources.ts";
import type { Node, Pod, Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import {
  type ControllerDefinition,
  defineController,
  everyKeyOf,
  isNamespaceTerminating,
  watching,
} from "#shared/client/controller.ts";
import { controllerReference } from "#shared/client/controller-ref.ts";
import { readyCondition } from "../node/health.ts";
import { addressTypesOf, endpointGroups, podsOfUnknownNodes } from "./endpoint-groups.ts";
import { concernsEndpoints, isHeadless, podBatch_ms, selectedPods, servicesOfPod } from "./service-pods.ts";
import { type EndpointGroup, planSlices, type SlicePlan } from "./slice-plan.ts";
import {
  headlessLabel,
  managedByLabel,
  type SliceIdentity,
  serviceNameLabel,
  serviceOfSlice,
  slicesByService,
  slicesManagedBy,
  writeSlices,
} from "./slice-writer.ts";
import { TriggerTimes } from "./trigger-time.ts";
import { ZoneHintEvents } from "./zone-hint-events.ts";
import { addZoneHints, cpuShares, wantsZoneHints, zoneLabel } from "./zone-hints.ts";

const manager = "endpointslice-controller.k8s.io";
const mostInSlice = 100;

/** Keeps the EndpointSlices of Services that select pods. */
export function endpointSliceController(): ControllerDefinition {
  const triggerTimes = new TriggerTimes();
  const zoneHintEvents = new ZoneHintEvents();
  return defineController({
    name: "endpointslice-controller",
    eventSource: "endpoint-slice-controller",
    watches: [
      watching(services),
      watching(pods, { enqueue: servicesOfPod, when: concernsEndpoints, batch_ms: podBatch_ms }),
      nodesWithZones,
      watching(endpointSlices, {
        enqueue: serviceOfSlice,
        indexes: slicesByService,
        writes: true,
      }),
    ],
    resync_s: 600,
    // Upstream's.
    backOff: { first_ms: 1_000, longest_ms: 1_000_000 },
    async reconcile(key, { lister, client, events, written }) {
      const service = lister(services).get(key);
      if (!service) {
        for (const memory of [written, triggerTimes, zoneHintEvents]) memory.forget(key);
        return undefined;
      }
      // Endpoints of other Services are somebody else's; those of a Service whose name is no longer one of ours stay.
      if (service.spec?.type === "ExternalName" || !service.spec?.selector) return undefined;
      const behind_ms = written.wait_ms(key);
      if (behind_ms !== undefined) return { behind_ms };
      const selected = selectedPods(service, lister(pods));
      const triggerTime = triggerTimes.next(key, service, selected);
      const nodeOf = (node: string): Node | undefined => lister(nodes).get(node);
      const untold = podsOfUnknownNodes(service, selected, nodeOf);
      const told = selected.filter((pod) => !untold.includes(pod));
      const groups = endpointGroups(service, told, nodeOf);
      const hints = wantsZoneHints(service) ? addZoneHints(groups, cpuShares(lister(nodes).list())) : undefined;
      zoneHintEvents.tell(service, hints, events);
      const plan = planFor(service, groups, slicesManagedBy(manager, key, lister(endpointSlices)));
      try {
        await writeSlices(client, sliceIdentity(service, triggerTime), plan, written);
        // Tried again, for the node may come.
        if (untold.length > 0) throw new Error(joinErrors(untold.map((pod) => nodeMissing(service, pod))));
      } catch (error) {
        if (isNamespaceTerminating(error)) return undefined;
        if (!isNotFound(error)) {
          const message = `Error updating Endpoint Slices for Service ${key}: ${messageOf(error)}`;
          events.record(service, { type: "Warning", reason: "FailedToUpdateEndpointSlices", message });
        }
        throw error;
      }
      return undefined;
    },
  });
}

const nodeMissing = (service: Service, { metadata, spec }: Pod): string =>
  `skipping Pod ${metadata.name} for Service ${keyOf(service)}: Node ${spec?.nodeName ?? ""} Not Found`;

/** A node's zone stands in the endpoints on it, and of a node that is not known there are none; whether and how hints by zones are given depends on more of every node. */
const nodesWithZones = watching(nodes, {
  enqueue: everyKeyOf(services),
  when: (event) => event.type === "add" || (event.type === "update" && zoneOf(event.old) !== zoneOf(event.object)),
  observe(event, { lister, queue }) {
    if (event.type === "update" && hintFacts(event.old) === hintFacts(event.object)) return;
    for (const service of lister(services).list()) if (wantsZoneHints(service)) queue.add(keyOf(service));
  },
});

const zoneOf = ({ metadata }: Node): string | undefined => metadata.labels?.[zoneLabel];

/** What of a node hints by zones depend on. */
const hintFacts = (node: Node): string =>
  JSON.stringify([node.metadata.labels, node.status?.allocatable?.["cpu"], readyCondition(node)?.status]);

/** Slices of a former Service of that name go; new ones are made only for a Service that stays. */
function planFor(service: Service, groups: readonly EndpointGroup[], present: readonly EndpointSlice[]): SlicePlan {
  const isOwned = ({ metadata }: EndpointSlice): boolean =>
    metadata.ownerReferences?.some(({ uid }) => uid === service.metadata.uid) ?? false;
  const plan = planSlices(groups, present.filter(isOwned), addressTypesOf(service), mostInSlice);
  return {
    ...plan,
    // A Service on its way out: its slices may be going already, and new ones would come back for ever.
    create: service.metadata.deletionTimestamp ? [] : plan.create,
    delete: [...plan.delete, ...present.filter((slice) => !isOwned(slice))],
  };
}

function sliceIdentity(service: Service, triggerTime: string | undefined): SliceIdentity {
  const { namespace = "", name = "" } = service.metadata;
  const owner = controllerReference(services, service);
  return { key: keyOf(service), namespace, name, owner, labels: sliceLabels(service), triggerTime };
}

/** The Service's labels, with those that are the controller's. */
function sliceLabels(service: Service): Record<string, string> {
  const { [headlessLabel]: _, ...labels } = service.metadata.labels ?? {};
  return {
    ...labels,
    ...(isHeadless(service) ? { [headlessLabel]: "" } : {}),
    [serviceNameLabel]: service.metadata.name ?? "",
    [managedByLabel]: manager,
  };
}
