import { BlockList, isIP } from "node:net";
import { badRequest, notFound, serviceUnavailable } from "#shared/api/errors.ts";
import { endpointSlices, nodes, pods, services } from "#shared/api/resources.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { Node, ObjectReference, Pod } from "#shared/api/types/core-v1.generated.ts";
import { hostPort } from "#shared/http/host-port.ts";
import type { TunnelTarget } from "#shared/tunnel/tunnel.ts";
import type { ResourceReader } from "../registry/reader.ts";

/** Where a connect request leads: a board, and what to reach from there. */
export interface ConnectTarget {
  readonly node: string;
  readonly target: TunnelTarget;
  readonly scheme: "http" | "https";
  /** The Host header for it. */
  readonly host: string;
}

/** `[scheme:]name[:port]`, as names stand in proxy paths. */
export interface ProxyName {
  readonly scheme: "http" | "https";
  readonly name: string;
  readonly port: string;
}

function parseProxyName(text: string, kind: "pod" | "service" | "node"): ProxyName {
  const parts = text.split(":");
  const [name = "", port = ""] = parts.length === 3 ? parts.slice(1) : parts;
  const scheme = parts.length === 3 ? (parts[0] ?? "") : "";
  if (parts.length > 3 || name === "" || !["", "http", "https"].includes(scheme))
    throw badRequest(`invalid ${kind} request ${goQuote(text)}`);
  return { scheme: scheme === "https" ? "https" : "http", name, port };
}

/** Throws NotFound. */
export function podNamed(reader: ResourceReader, namespace: string, name: string): Pod {
  const pod = reader.get(pods, { namespace, name });
  if (!pod) throw notFound(pods, name);
  return pod;
}

/** The pod's board, or the error that kubectl shows while it has none. */
function boardOf({ metadata, spec }: Pod): string {
  if (!spec?.nodeName) throw badRequest(`pod ${metadata.name} does not have a host assigned`);
  return spec.nodeName;
}

/** The same, as a node that is there: its kubelet is asked. */
export function hostOf(reader: ResourceReader, pod: Pod): string {
  const node = boardOf(pod);
  // Upstream names it so.
  if (!reader.get(nodes, { name: node })) throw notFound(pods, node);
  return node;
}

/** The container meant: the one named, or the only one. Words as upstream's. */
export function containerOf(pod: Pod, asked: string | undefined): string {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = pod.spec ?? {};
  const name = pod.metadata.name ?? "";
  if (asked) {
    const isKnown = [...containers, ...initContainers, ...ephemeralContainers].some(
      (container) => container.name === asked,
    );
    if (!isKnown) throw badRequest(`container ${asked} is not valid for pod ${name}`);
    return asked;
  }
  const [only, ...others] = containers;
  if (only && others.length === 0) return only.name;
  const choice = names([...initContainers, ...containers, ...ephemeralContainers]);
  throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${choice}]`);
}

/** Where a request to proxy to a pod goes. @param text `[SCHEME:]NAME[:PORT]`. Throws BadRequest for what is no such text or
 *  has no address that may be reached, NotFound. */
export function podTarget(reader: ResourceReader, namespace: string, text: string): ConnectTarget {
  const { scheme, name, port } = parseProxyName(text, "pod");
  const pod = podNamed(reader, namespace, name);
  const ip = pod.status?.podIP ?? "";
  if (!isReachable(ip)) throw badRequest("address not allowed");
  const node = boardOf(pod);
  const first = pod.spec?.containers.flatMap((container) => container.ports ?? [])[0]?.containerPort;
  const number = port === "" ? (first ?? 80) : portNumber(port);
  return { node, target: { kind: "tcp", host: ip, port: number }, scheme, host: hostPort(ip, number) };
}

/** Where the API server itself reaches a Service, for webhooks and aggregated servers: whoever made its endpoints decides. */
export function serviceTarget(
  reader: ResourceReader,
  namespace: string,
  text: string,
  boards: readonly string[],
): ConnectTarget {
  // Upstream's lister names the kind so.
  const found = endpointsOf(reader, namespace, text, "service");
  const endpoint = anyOf(found.endpoints) ?? noEndpoint(found, text);
  // An endpoint that is no pod has no board: any board may reach it.
  const node = endpoint.node ?? boards[0];
  if (node === undefined) throw serviceUnavailable("no board is connected to this API server");
  return tcpTarget(node, found.scheme, endpoint);
}

/**
 * Where a client reaches a Service through the API server: pods of its namespace alone (upstream's isValidAddress). Whoever may write
 * endpoints would else reach everything that boards do.
 */
export function serviceProxyTarget(reader: ResourceReader, namespace: string, text: string): ConnectTarget {
  const found = endpointsOf(reader, namespace, text);
  const ofPods = found.endpoints.flatMap((endpoint) => {
    const node = boardOfAddress(reader, namespace, endpoint);
    return node === undefined ? [] : [{ ...endpoint, node }];
  });
  const endpoint = anyOf(ofPods) ?? noEndpoint(found, text);
  return tcpTarget(endpoint.node, found.scheme, endpoint);
}

interface Endpoint {
  readonly ip: string;
  readonly port: number;
  readonly node: string | undefined;
  readonly of: ObjectReference | undefined;
}

interface FoundEndpoints {
  readonly scheme: ProxyName["scheme"];
  readonly service: string;
  /** Those that are ready at the port that is meant. */
  readonly endpoints: readonly Endpoint[];
  /** There are others. */
  readonly hasOthers: boolean;
}

function endpointsOf(
  reader: ResourceReader,
  namespace: string,
  text: string,
  kind: "service" | "services" = "services",
): FoundEndpoints {
  const { scheme, name, port } = parseProxyName(text, "service");
  const service = reader.get(services, { namespace, name });
  if (!service) throw notFound({ group: "", plural: kind }, name);
  const ports = service.spec?.ports ?? [];
  const isNumber = /^[+-]?\d+$/.test(port);
  const chosen = ports.find((each) => (isNumber ? each.port === Number(port) : (each.name ?? "") === port));
  if (!chosen && isNumber) throw serviceUnavailable(`no service port ${Number(port)} found for service "${name}"`);
  // Endpoints may have ports of another name than their Service: whoever made them decides.
  const portName = chosen ? (chosen.name ?? "") : port;
  const slices = reader
    .list(endpointSlices, namespace)
    .filter((slice) => slice.metadata.labels?.["kubernetes.io/service-name"] === name);
  const endpoints = slices.flatMap((slice) => {
    const number = (slice.ports ?? []).find((each) => (each.name ?? "") === portName)?.port;
    if (number === undefined) return [];
    return (slice.endpoints ?? [])
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses, nodeName: node, targetRef: of }) =>
        addresses.slice(0, 1).map((ip) => ({ ip, port: number, node, of })),
      );
  });
  return { scheme, service: name, endpoints, hasOthers: slices.some((slice) => (slice.endpoints ?? []).length > 0) };
}

/** The board of the pod that has the address; undefined: the endpoint only says that a pod has it, or names none. */
function boardOfAddress(reader: ResourceReader, namespace: string, { ip, of }: Endpoint): string | undefined {
  if (of?.namespace !== namespace || !of.name) return undefined;
  const pod = reader.get(pods, { namespace, name: of.name });
  const { podIP, podIPs = [] } = pod?.status ?? {};
  const isItsOwn = [podIP, ...podIPs.map((each) => each.ip)].includes(ip) && isReachable(ip);
  return isItsOwn ? pod?.spec?.nodeName : undefined;
}

const anyOf = <T>(all: readonly T[]): T | undefined => all[Math.floor(Math.random() * all.length)];

function noEndpoint({ service, hasOthers }: FoundEndpoints, text: string): never {
  throw serviceUnavailable(`no endpoints available for service ${goQuote(hasOthers ? text : service)}`);
}

const tcpTarget = (node: string, scheme: ProxyName["scheme"], { ip, port }: Endpoint): ConnectTarget => ({
  node,
  target: { kind: "tcp", host: ip, port },
  scheme,
  host: hostPort(ip, port),
});

/** The same for a node: its kubelet, or another port of the board. */
export function nodeTarget(reader: ResourceReader, text: string): ConnectTarget {
  const { scheme, name, port } = parseProxyName(text, "node");
  const node = reader.get(nodes, { name });
  if (!node) throw notFound(nodes, name);
  const own = node.status?.daemonEndpoints?.kubeletEndpoint?.Port ?? 10_250;
  const number = port === "" ? own : portNumber(port);
  const ip = internalIp(node);
  if (number === own) return { node: name, target: { kind: "kubelet" }, scheme: "http", host: hostPort(ip, number) };
  // The Node is its board's own word.
  if (!isReachable(ip)) throw badRequest("address not allowed");
  return { node: name, target: { kind: "tcp", host: ip, port: number }, scheme, host: hostPort(ip, number) };
}

const unreachable = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 32],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["224.0.0.0", 4],
  ["255.255.255.255", 32],
] as const)
  unreachable.addSubnet(network, prefix, "ipv4");
for (const [network, prefix] of [
  ["::", 127],
  ["fe80::", 10],
  ["ff00::", 8],
] as const)
  unreachable.addSubnet(network, prefix, "ipv6");

/** An address that could be another's: no loopback, link-local or multicast one. */
const isReachable = (ip: string): boolean => isIP(ip) !== 0 && !unreachable.check(ip, isIP(ip) === 6 ? "ipv6" : "ipv4");

function internalIp(node: Node): string {
  return node.status?.addresses?.find((address) => address.type === "InternalIP")?.address ?? node.metadata.name ?? "";
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw badRequest(`invalid port "${text}"`);
  return port;
}

const names = (containers: readonly { readonly name: string }[]): string =>
  containers.map((container) => container.name).join(" ");
