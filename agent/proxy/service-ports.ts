import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointPort, EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { plainForm } from "#shared/board/cidr.ts";
import { Turn } from "#shared/client/turn.ts";

export type Protocol = "TCP" | "UDP" | "SCTP";
export type IpFamily = "IPv4" | "IPv6";

/** One port of one Service with the endpoints that serve it, as a rule planner needs it. */
export interface ServicePort {
  /** `namespace/name:port`, the name that rules carry in comments. */
  readonly id: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly clusterIp: string;
  readonly externalIps: readonly string[];
  readonly loadBalancerIps: readonly string[];
  readonly loadBalancerSourceRanges: readonly string[];
  readonly nodePort: number | undefined;
  /** Seconds that a client stays with one endpoint; undefined without affinity. */
  readonly affinity_s: number | undefined;
  readonly internalLocal: boolean;
  readonly externalLocal: boolean;
  /** For traffic that may go to any board. */
  readonly clusterEndpoints: readonly Endpoint[];
  /** For traffic whose policy is Local: those on this board. */
  readonly localEndpoints: readonly Endpoint[];
  /** Is there a usable endpoint on any board? Tells a Service without endpoints from one without local ones. */
  readonly hasAnyEndpoint: boolean;
}

export interface Endpoint {
  readonly ip: string;
  readonly port: number;
  readonly local: boolean;
}

export interface NodeView {
  readonly name: string;
  readonly zone: string | undefined;
}

/** Of one Service, so many pairs of a port and an address that leads to it or serves it: each is rules of the kernel's. */
const MOST_PAIRS = 200_000;

/** How many of a Service's ports can be served: all, but where its author wrote thousands of them and of addresses. */
function servedPortCount({ spec, status }: Service, slices: readonly EndpointSlice[]): number {
  const count = spec?.ports?.length ?? 0;
  const balanced = (status?.loadBalancer?.ingress?.length ?? 0) * (1 + (spec?.loadBalancerSourceRanges?.length ?? 0));
  const endpoints = slices.reduce((sum, slice) => sum + (slice.endpoints?.length ?? 0), 0);
  const ofEach = 1 + (spec?.externalIPs?.length ?? 0) + balanced + endpoints;
  return Math.min(count, Math.max(1, Math.floor(MOST_PAIRS / ofEach)));
}

/**
 * What each Service port is served by on this board. Headless and ExternalName Services have none. Endpoints follow
 * KEP-1669 (terminating ones that still serve are the last resort), KEP-2433 (topology hints) and the traffic policies.
 */
export function servicePorts(
  services: readonly Service[],
  slicesOf: (service: Service) => readonly EndpointSlice[],
  node: NodeView,
  family: IpFamily,
): ServicePort[] {
  return services.flatMap((service) => portsOf(service, slicesOf(service), node, family));
}

interface CachedPorts {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
  readonly ports: readonly ServicePort[];
}

/** servicePorts over and over: the ports of a Service of which nothing changed are the same objects as before, so that
 *  what is made of them need not be made again. */
export class ServicePortCache {
  private known = new Map<string, CachedPorts>();
  private seenFrom = "";

  /** @param tellUnserved hears of a Service of which only so many ports are served, whenever its ports are made. */
  constructor(private readonly tellUnserved: (service: Service, served: number) => void) {}

  async servicePorts(
    services: readonly Service[],
    slicesOf: (service: Service) => readonly EndpointSlice[],
    node: NodeView,
    family: IpFamily,
  ): Promise<ServicePort[]> {
    const turn = new Turn();
    const from = JSON.stringify([node, family]);
    const before = from === this.seenFrom ? this.known : new Map<string, CachedPorts>();
    const next = new Map<string, CachedPorts>();
    for (const service of services) {
      const key = `${service.metadata.namespace}/${service.metadata.name}`;
      const slices = slicesOf(service);
      const known = before.get(key);
      const isSame =
        known?.service === service &&
        known.slices.length === slices.length &&
        known.slices.every((slice, index) => slice === slices[index]);
      if (!isSame) await turn.pause();
      const served = isSame ? undefined : servedPortCount(service, slices);
      if (served !== undefined && served < (service.spec?.ports?.length ?? 0)) this.tellUnserved(service, served);
      next.set(key, isSame ? known : { service, slices, ports: portsOf(service, slices, node, family) });
    }
    this.known = next;
    this.seenFrom = from;
    return [...next.values()].flatMap(({ ports }) => ports);
  }
}

function portsOf(
  service: Service,
  all: readonly EndpointSlice[],
  node: NodeView,
  family: IpFamily,
): readonly ServicePort[] {
  const clusterIp = clusterIpOf(service, family);
  const { spec, metadata } = service;
  if (clusterIp === undefined || !spec || isForAnotherProxy(service)) return [];
  const slices = all
    .filter((slice) => slice.addressType === family)
    .map((slice) => ({ slice, ports: Map.groupBy(slice.ports ?? [], portKey) }));
  const ports = (spec.ports ?? []).slice(0, servedPortCount(service, all));
  return ports.map((port): ServicePort => {
    const protocol = (port.protocol ?? "TCP") as Protocol;
    const candidates = slices.flatMap(({ slice, ports }) => candidatesOf(slice, ports.get(portKey(port)) ?? [], node));
    const byNode = usable(candidates.filter((candidate) => candidate.endpoint.local));
    const anywhere = usable(candidates);
    const external = ofFamily(family);
    return {
      id: `${metadata.namespace}/${metadata.name}${port.name ? `:${port.name}` : ""}`,
      protocol,
      port: port.port,
      clusterIp,
      externalIps: external(spec.externalIPs ?? []),
      loadBalancerIps: external(
        (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) =>
          ip && ipMode !== "Proxy" ? [ip] : [],
        ),
      ),
      loadBalancerSourceRanges: external((spec.loadBalancerSourceRanges ?? []).map((range) => range.trim())),
      nodePort: port.nodePort || undefined,
      affinity_s:
        spec.sessionAffinity === "ClientIP"
          ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800)
          : undefined,
      internalLocal: spec.internalTrafficPolicy === "Local",
      externalLocal: spec.externalTrafficPolicy === "Local",
      clusterEndpoints: byTopology(anywhere, node).map((candidate) => candidate.endpoint),
      localEndpoints: byNode.map((candidate) => candidate.endpoint),
      hasAnyEndpoint: anywhere.length > 0,
    };
  });
}

interface Candidate {
  readonly endpoint: Endpoint;
  readonly ready: boolean;
  readonly servingWhileTerminating: boolean;
  readonly hintedZones: readonly string[] | undefined;
  readonly hintedNodes: readonly string[] | undefined;
}

/** A Service's port is the slices' port of the same name and protocol. */
const portKey = ({ name = "", protocol = "TCP" }: Pick<EndpointPort, "name" | "protocol">): string =>
  `${protocol}/${name}`;

/** @param ports of the slice that serve the port in question. */
function candidatesOf(slice: EndpointSlice, ports: readonly EndpointPort[], node: NodeView): Candidate[] {
  return ports.flatMap(({ port }) =>
    (slice.endpoints ?? []).flatMap((endpoint) => {
      const ip = plainForm(endpoint.addresses?.[0] ?? "");
      if (ip === undefined || port === undefined) return [];
      const { ready = true, serving = ready, terminating = false } = endpoint.conditions ?? {};
      return [
        {
          endpoint: { ip, port, local: endpoint.nodeName === node.name },
          ready,
          servingWhileTerminating: serving && terminating,
          hintedZones: endpoint.hints?.forZones?.map((zone) => zone.name),
          hintedNodes: endpoint.hints?.forNodes?.map((hint) => hint.name),
        },
      ];
    }),
  );
}

/** Ready ones; when there is none, those that still serve while they terminate. Duplicates of several slices once. */
function usable(candidates: readonly Candidate[]): Candidate[] {
  const ready = candidates.filter((candidate) => candidate.ready);
  const chosen = ready.length > 0 ? ready : candidates.filter((candidate) => candidate.servingWhileTerminating);
  const unique = new Map(chosen.map((candidate) => [`${candidate.endpoint.ip}|${candidate.endpoint.port}`, candidate]));
  return [...unique.values()].sort(byAddress);
}

const byAddress = (a: Candidate, b: Candidate): number =>
  a.endpoint.ip < b.endpoint.ip ? -1 : a.endpoint.ip > b.endpoint.ip ? 1 : a.endpoint.port - b.endpoint.port;

/** Hints count only when every endpoint has one, else some would get no traffic at all. */
function byTopology(candidates: readonly Candidate[], node: NodeView): readonly Candidate[] {
  if (candidates.length === 0) return candidates;
  if (candidates.every((candidate) => candidate.hintedNodes?.length)) {
    const here = candidates.filter((candidate) => candidate.hintedNodes?.includes(node.name));
    if (here.length > 0) return here;
  }
  const { zone } = node;
  if (zone !== undefined && candidates.every((candidate) => candidate.hintedZones?.length)) {
    const near = candidates.filter((candidate) => candidate.hintedZones?.includes(zone));
    if (near.length > 0) return near;
  }
  return candidates;
}

function clusterIpOf(service: Service, family: IpFamily): string | undefined {
  if (service.spec?.type === "ExternalName") return undefined;
  const ips = service.spec?.clusterIPs ?? (service.spec?.clusterIP ? [service.spec.clusterIP] : []);
  return ofFamily(family)(ips.filter((ip) => ip !== "None"))[0];
}

/** The well-known labels by which a Service opts out of this proxy. */
function isForAnotherProxy(service: Service): boolean {
  const labels = service.metadata.labels ?? {};
  return "service.kubernetes.io/service-proxy-name" in labels || "service.kubernetes.io/headless" in labels;
}

/** Those of the family, as the kernel's programs are told of them. */
const ofFamily =
  (family: IpFamily) =>
  (addresses: readonly string[]): string[] =>
    addresses.flatMap((each) => {
      const plain = plainForm(each);
      return plain !== undefined && plain.includes(":") === (family === "IPv6") ? [plain] : [];
    });
