import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointPort, EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import type { IpFamily } from "#shared/net/ip-family.ts";
import { Turn } from "#shared/process/turn.ts";
import { isPortNumber, type Protocol, protocolOf, UsableValues } from "./usable-values.ts";

export type { Protocol } from "./usable-values.ts";

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
  return services.flatMap((service) => portsOf(service, slicesOf(service), node, new UsableValues(family)));
}

interface CachedPorts {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
  readonly ports: readonly ServicePort[];
  /** What was told of what is left out of it. */
  readonly leftOut: string;
}

/** What cannot be served of a Service; "" when all is. */
export type TellLeftOut = (service: Service, leftOut: string) => void;

/** servicePorts over and over: the ports of a Service of which nothing changed are the same objects as before, so that
 *  what is made of them need not be made again. */
export class ServicePortCache {
  private known = new Map<string, CachedPorts>();
  private seenFrom = "";

  /** @param tellLeftOut hears of what is left out of a Service, once for as long as that is the same. */
  constructor(private readonly tellLeftOut: TellLeftOut) {}

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
      if (isSame) {
        next.set(key, known);
        continue;
      }
      await turn.pause();
      const values = new UsableValues(family);
      const ports = portsOf(service, slices, node, values);
      const leftOut = values.leftOut();
      if (leftOut !== (this.known.get(key)?.leftOut ?? "")) this.tellLeftOut(service, leftOut);
      next.set(key, { service, slices, ports, leftOut });
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
  values: UsableValues,
): readonly ServicePort[] {
  const { spec } = service;
  const clusterIp = clusterIpOf(service, values);
  if (clusterIp === undefined || !spec || isForAnotherProxy(service)) return [];
  const slices = all
    .filter((slice) => slice.addressType === values.family)
    .map((slice) => endpointsOf(slice, node, values));
  const shared = sharedParts(service, clusterIp, values);
  return servedPorts(service, all, values).map((port): ServicePort => {
    const candidates = slices.flatMap((endpointsAt) => endpointsAt(port));
    const byNode = usable(candidates.filter((candidate) => candidate.endpoint.local));
    const anywhere = usable(candidates);
    return {
      ...shared,
      id: `${service.metadata.namespace}/${service.metadata.name}${port.name ? `:${port.name}` : ""}`,
      protocol: port.protocol,
      port: port.port,
      nodePort: port.nodePort,
      clusterEndpoints: byTopology(anywhere, node).map((candidate) => candidate.endpoint),
      localEndpoints: byNode.map((candidate) => candidate.endpoint),
      hasAnyEndpoint: anywhere.length > 0,
    };
  });
}

type SharedParts = Omit<
  ServicePort,
  "id" | "protocol" | "port" | "nodePort" | "clusterEndpoints" | "localEndpoints" | "hasAnyEndpoint"
>;

/** What all ports of a Service have alike. */
function sharedParts({ spec, status }: Service, clusterIp: string, values: UsableValues): SharedParts {
  const balancers = (status?.loadBalancer?.ingress ?? []).filter((ingress) => ingress.ipMode !== "Proxy");
  return {
    clusterIp,
    externalIps: values.addresses(spec?.externalIPs ?? [], "an external IP"),
    loadBalancerIps: values.addresses(
      balancers.flatMap(({ ip }) => (ip ? [ip] : [])),
      "an IP of a load balancer",
    ),
    loadBalancerSourceRanges: values.networks(spec?.loadBalancerSourceRanges ?? [], "a source range"),
    affinity_s: affinityOf(spec),
    internalLocal: spec?.internalTrafficPolicy === "Local",
    externalLocal: spec?.externalTrafficPolicy === "Local",
  };
}

const usualAffinity_s = 10_800;
/** The most that an API server lets in; the kernel counts in units that would overflow. */
const longestAffinity_s = 86_400;

function affinityOf(spec: Service["spec"]): number | undefined {
  if (spec?.sessionAffinity !== "ClientIP") return undefined;
  const asked_s = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? usualAffinity_s;
  return asked_s > 0 ? Math.min(asked_s, longestAffinity_s) : undefined;
}

interface NumberedPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly nodePort: number | undefined;
}

/** Of several with the same name and protocol, which is what rules are called by, the last one counts, as with kube-proxy. */
function servedPorts(service: Service, slices: readonly EndpointSlice[], values: UsableValues): NumberedPort[] {
  const asked = service.spec?.ports ?? [];
  const served = asked.slice(0, servedPortCount(service, slices));
  if (served.length < asked.length) values.leaveOut(`all but the first ${served.length} of its ports`);
  const found = new Map<string, NumberedPort>();
  for (const { name = "", port, nodePort, protocol: said } of served) {
    const protocol = protocolOf(said);
    if (protocol === undefined) values.leaveOut(`the port ${name} of protocol ${JSON.stringify(said)}`);
    else if (!isPortNumber(port)) values.leaveOut(`the port ${name} of number ${port}`);
    else {
      const isOpen = nodePort !== undefined && isPortNumber(nodePort);
      if (nodePort && !isOpen) values.leaveOut(`the node port ${nodePort}`);
      found.set(portKey({ name, protocol }), { name, protocol, port, nodePort: isOpen ? nodePort : undefined });
    }
  }
  return [...found.values()];
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

/** A slice's endpoints, by the port in question. Each address is read once, however many ports the slice has. */
function endpointsOf(slice: EndpointSlice, node: NodeView, values: UsableValues): (port: NumberedPort) => Candidate[] {
  const ports = Map.groupBy(slice.ports ?? [], portKey);
  const hosts = (slice.endpoints ?? []).flatMap((endpoint) => {
    const text = endpoint.addresses?.[0];
    const ip = text === undefined ? undefined : values.address(text, "an endpoint");
    if (ip === undefined) return [];
    const { ready = true, serving = ready, terminating = false } = endpoint.conditions ?? {};
    return [
      {
        ip,
        local: endpoint.nodeName === node.name,
        ready,
        servingWhileTerminating: serving && terminating,
        hintedZones: endpoint.hints?.forZones?.map((zone) => zone.name),
        hintedNodes: endpoint.hints?.forNodes?.map((hint) => hint.name),
      },
    ];
  });
  return (asked) =>
    (ports.get(portKey(asked)) ?? []).flatMap(({ port }) => {
      if (port === undefined || port === 0) return [];
      if (isPortNumber(port))
        return hosts.map(({ ip, local, ...rest }) => ({ endpoint: { ip, port, local }, ...rest }));
      values.leaveOut(`endpoints at port ${port}`);
      return [];
    });
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

function clusterIpOf({ spec }: Service, values: UsableValues): string | undefined {
  if (spec?.type === "ExternalName") return undefined;
  const ips = spec?.clusterIPs ?? (spec?.clusterIP ? [spec.clusterIP] : []);
  return values.addresses(
    ips.filter((ip) => ip !== "None" && ip !== ""),
    "its cluster IP",
  )[0];
}

/** The well-known labels by which a Service opts out of this proxy. */
function isForAnotherProxy(service: Service): boolean {
  const labels = service.metadata.labels ?? {};
  return "service.kubernetes.io/service-proxy-name" in labels || "service.kubernetes.io/headless" in labels;
}
