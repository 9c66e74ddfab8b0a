import { isNotFound } from "#shared/api/errors.ts";
import { keyOf } from "#shared/api/object.ts";
import { endpointSlices, nodes, pods, services } from "#shared/api/resources.ts";
import type { Node, Pod, Service } from "#shared/api/types/core-v1.generated.ts";
import type { Endpoint, EndpointPort } from "#shared/api/types/discovery-v1.generated.ts";
import {
  type ControllerDefinition,
  defineController,
  everyKeyOf,
  isNamespaceTerminating,
  watching,
} from "#shared/client/controller.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import { WrittenVersions } from "#shared/client/written-versions.ts";
import { canonicalText } from "../canonical-text.ts";
import { readyCondition } from "../node/health.ts";
import { isPodReady } from "../pod-condition.ts";
import {
  addressesOf,
  concernsEndpoints,
  hasHostname,
  isHeadless,
  mayBeEndpoint,
  podBatch_ms,
  portOnPod,
  selectedPods,
  servicesOfPod,
} from "./service-pods.ts";
import { type EndpointGroup, planSlices } from "./slice-plan.ts";
import {
  forgetDeletedSlice,
  headlessLabel,
  managedByLabel,
  serviceNameLabel,
  serviceOfSlice,
  slicesByService,
  writeSlices,
} from "./slice-writer.ts";
import { TriggerTimes } from "./trigger-time.ts";
import { cpuShares, wantsZoneHints, zoneHints } from "./zone-hints.ts";

const manager = "endpointslice-controller.k8s.io";
const mostInSlice = 100;
const zoneLabel = "topology.kubernetes.io/zone";

/** Keeps the EndpointSlices of Services that select pods. */
export function endpointSliceController(): ControllerDefinition {
  const versions = new WrittenVersions();
  const triggerTimes = new TriggerTimes();
  /** What was last told of a Service's hints by zones, per address family: `on`, or why there are none. */
  const told = new Map<string, ReadonlyMap<string, string>>();
  return defineController({
    name: "endpointslice-controller",
    eventSource: "endpoint-slice-controller",
    watches: [
      watching(services),
      watching(pods, { enqueue: servicesOfPod, when: concernsEndpoints, batch_ms: podBatch_ms }),
      watching(nodes, {
        enqueue: everyKeyOf(services),
        when: (event) =>
          event.type === "update" &&
          event.old.metadata.labels?.[zoneLabel] !== event.object.metadata.labels?.[zoneLabel],
        observe(event, { lister, queue }) {
          if (event.type === "update" && hintFacts(event.old) === hintFacts(event.object)) return;
          for (const service of lister(services).list()) if (wantsZoneHints(service)) queue.add(keyOf(service));
        },
      }),
      watching(endpointSlices, {
        enqueue: serviceOfSlice,
        indexes: slicesByService,
        observe: forgetDeletedSlice(versions),
      }),
    ],
    resync_s: 600,
    async reconcile(key, { lister, client, events }) {
      const service = lister(services).get(key);
      if (!service) {
        versions.forget(key);
        triggerTimes.forget(key);
        told.delete(key);
        return undefined;
      }
      // Endpoints of other Services are somebody else's; those of a Service whose name is no longer one of ours stay.
      if (service.spec?.type === "ExternalName" || !service.spec?.selector) return undefined;
      // The event that shows the last write brings the key back.
      if (!versions.seen(key, lister(endpointSlices))) return undefined;
      const { namespace = "", name = "" } = service.metadata;
      const own = lister(endpointSlices)
        .byIndex("service", key)
        .filter(({ metadata }) => metadata.labels?.[managedByLabel] === manager && !metadata.deletionTimestamp);
      const selected = selectedPods(service, lister(pods));
      const triggerTime = triggerTimes.next(key, service, selected);
      const groups = endpointGroups(service, selected, (node) => lister(nodes).get(node));
      const hints = wantsZoneHints(service) ? addZoneHints(groups, cpuShares(lister(nodes).list())) : undefined;
      tellHints(service, told.get(key), hints, events);
      if (hints) told.set(key, hints);
      else told.delete(key);
      const ours = own.filter(({ metadata }) =>
        metadata.ownerReferences?.some(({ uid }) => uid === service.metadata.uid),
      );
      const plan = planSlices(groups, ours, addressTypesOf(service), mostInSlice);
      const strangers = own.filter((slice) => !ours.includes(slice));
      try {
        await writeSlices(
          client,
          {
            key,
            namespace,
            name,
            labels: sliceLabels(service),
            triggerTime,
            owner: {
              apiVersion: "v1",
              kind: "Service",
              name,
              uid: service.metadata.uid ?? "",
              controller: true,
              blockOwnerDeletion: true,
            },
          },
          {
            ...plan,
            // A Service on its way out: its slices may be going already, and new ones would come back for ever.
            create: service.metadata.deletionTimestamp ? [] : plan.create,
            delete: [...plan.delete, ...strangers],
          },
          versions,
        );
      } catch (error) {
        if (isNamespaceTerminating(error)) return undefined;
        if (!isNotFound(error)) {
          const message = `Error updating Endpoint Slices for Service ${keyOf(service)}: ${(error as Error).message}`;
          events.record(service, { type: "Warning", reason: "FailedToUpdateEndpointSlices", message });
        }
        throw error;
      }
      return undefined;
    },
  });
}

/** Writes hints by zones into the endpoints, all families of addresses for themselves. Gives `on` or why not, by family. */
function addZoneHints(
  groups: readonly EndpointGroup[],
  shares: ReturnType<typeof cpuShares>,
): ReadonlyMap<string, string> {
  const outcome = new Map<string, string>();
  for (const addressType of new Set(groups.map((group) => group.addressType))) {
    const all = groups.filter((group) => group.addressType === addressType).flatMap(({ endpoints }) => endpoints);
    const hints = zoneHints(all, shares);
    outcome.set(addressType, hints.kind === "on" ? "on" : hints.why);
    for (const [index, endpoint] of all.entries()) {
      const zone = hints.kind === "on" ? hints.zones[index] : undefined;
      if (zone === undefined) delete endpoint.hints;
      else endpoint.hints = { forZones: [{ name: zone }] };
    }
  }
  return outcome;
}

function tellHints(
  service: Service,
  before: ReadonlyMap<string, string> | undefined,
  now: ReadonlyMap<string, string> | undefined,
  events: EventRecorder,
): void {
  for (const addressType of new Set([...(before?.keys() ?? []), ...(now?.keys() ?? [])])) {
    const [was, is] = [before?.get(addressType), now?.get(addressType)];
    if (was === is) continue;
    const tell = (type: "Normal" | "Warning", reason: string, what: string): void =>
      events.record(service, { type, reason, message: `${what}, addressType: ${addressType}` });
    if (is === "on") tell("Normal", "TopologyAwareHintsEnabled", "Topology Aware Hints has been enabled");
    else if (is !== undefined) tell("Warning", "TopologyAwareHintsDisabled", is);
    else if (was === "on") tell("Warning", "TopologyAwareHintsDisabled", "Topology Aware Hints has been disabled");
  }
}

/** What of a node hints by zones depend on. */
const hintFacts = (node: Node): string =>
  JSON.stringify([node.metadata.labels, node.status?.allocatable?.["cpu"], readyCondition(node)?.status]);

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

function addressTypesOf({ spec }: Service): Set<string> {
  const families = (spec?.ipFamilies ?? []).filter((family) => family === "IPv4" || family === "IPv6");
  if (families.length > 0) return new Set(families);
  return new Set([spec?.clusterIP?.includes(":") ? "IPv6" : "IPv4"]);
}

/** Endpoints by address family and ports, for named ports may lead to different numbers on different pods (pure). */
export function endpointGroups(
  service: Service,
  selected: readonly Pod[],
  nodeOf: (name: string) => Node | undefined,
): EndpointGroup[] {
  const groups = new Map<string, { addressType: string; ports: EndpointPort[]; endpoints: Endpoint[] }>();
  for (const pod of selected) {
    if (!mayBeEndpoint(pod, "with terminating")) continue;
    const ports = portsOn(pod, service);
    for (const addressType of addressTypesOf(service)) {
      const addresses = addressesOf(pod).filter((ip) => ip.includes(":") === (addressType === "IPv6"));
      if (addresses.length === 0) continue;
      const key = `${addressType} ${ports.map(canonicalText).sort().join(" ")}`;
      const group = groups.get(key) ?? { addressType, ports, endpoints: [] };
      group.endpoints.push(endpointOf(service, pod, addresses, nodeOf(pod.spec?.nodeName ?? "")));
      groups.set(key, group);
    }
  }
  return [...groups.values()];
}

function portsOn(pod: Pod, { spec }: Service): EndpointPort[] {
  return (spec?.ports ?? []).flatMap((servicePort) => {
    const port = portOnPod(pod, servicePort);
    if (port === undefined) return [];
    const { name = "", protocol = "TCP", appProtocol } = servicePort;
    return [{ name, port, protocol, ...(appProtocol ? { appProtocol } : {}) }];
  });
}

function endpointOf(service: Service, pod: Pod, addresses: string[], node: Node | undefined): Endpoint {
  const serving = isPodReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const ready = service.spec?.publishNotReadyAddresses === true || (serving && !terminating);
  const zone = node?.metadata.labels?.[zoneLabel];
  const nodeName = pod.spec?.nodeName;
  const hints = ready ? hintsOf(service, zone, nodeName) : undefined;
  const { namespace, name, uid } = pod.metadata;
  return {
    addresses,
    conditions: { ready, serving, terminating },
    targetRef: { kind: "Pod", namespace, name, uid },
    ...(hasHostname(pod, service) ? { hostname: pod.spec?.hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    ...(zone ? { zone } : {}),
    ...(hints ? { hints } : {}),
  };
}

/** `spec.trafficDistribution` (KEP-3015): who should rather use this endpoint. */
function hintsOf({ spec }: Service, zone: string | undefined, nodeName: string | undefined): Endpoint["hints"] {
  const sameNode = spec?.trafficDistribution === "PreferSameNode";
  const sameZone =
    sameNode || spec?.trafficDistribution === "PreferClose" || spec?.trafficDistribution === "PreferSameZone";
  const forZones = sameZone && zone ? { forZones: [{ name: zone }] } : {};
  const forNodes = sameNode && nodeName ? { forNodes: [{ name: nodeName }] } : {};
  const hints = { ...forZones, ...forNodes };
  return Object.keys(hints).length > 0 ? hints : undefined;
}
