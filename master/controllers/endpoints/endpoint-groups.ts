import type { Node, Pod, Service } from "#shared/api/types/core-v1.generated.ts";
import type { Endpoint, EndpointPort } from "#shared/api/types/discovery-v1.generated.ts";
import { familyOf } from "#shared/net/ip-family.ts";
import { canonicalText } from "../canonical-text.ts";
import { isPodReady } from "../pod-condition.ts";
import { addressesOf, hasHostname, mayBeEndpoint, portOnPod } from "./service-pods.ts";
import type { EndpointGroup } from "./slice-plan.ts";
import { zoneLabel } from "./zone-hints.ts";

/** Pods that cannot be told of yet: the node that they are on is not known. A Service that publishes what is not ready has none. */
export function podsOfUnknownNodes(
  { spec }: Service,
  selected: readonly Pod[],
  nodeOf: (name: string) => Node | undefined,
): Pod[] {
  if (spec?.publishNotReadyAddresses) return [];
  return selected.filter((pod) => mayBeEndpoint(pod, "with terminating") && !nodeOf(pod.spec?.nodeName ?? ""));
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
      const addresses = addressesOf(pod).filter((ip) => familyOf(ip) === addressType);
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

/** Families of addresses that a Service has, and therefore slices of: `IPv4`, `IPv6` or both. */
export function addressTypesOf({ spec }: Service): Set<string> {
  const families = (spec?.ipFamilies ?? []).filter((family) => family === "IPv4" || family === "IPv6");
  if (families.length > 0) return new Set(families);
  return new Set([familyOf(spec?.clusterIP ?? "")]);
}
