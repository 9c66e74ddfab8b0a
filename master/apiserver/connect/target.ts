import { badRequest, notFound, serviceUnavailable } from "#shared/api/errors.ts";
import { endpointSlices, nodes, pods, services } from "#shared/api/resources.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
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

function parseProxyName(text: string): ProxyName {
  const parts = text.split(":");
  const [first = "", second = "", third = ""] = parts;
  if (parts.length === 1) return { scheme: "http", name: first, port: "" };
  if (parts.length === 2) return { scheme: "http", name: first, port: second };
  if (parts.length === 3 && (first === "http" || first === "https" || first === "")) {
    return { scheme: first === "https" ? "https" : "http", name: second, port: third };
  }
  throw badRequest(`invalid proxy request "${text}"`);
}

export function podNamed(reader: ResourceReader, namespace: string, name: string): Pod {
  const pod = reader.get(pods, { namespace, name });
  if (!pod) throw notFound(pods, name);
  return pod;
}

/** The pod's board, or the error that kubectl shows while it has none. */
export function scheduledPod(reader: ResourceReader, namespace: string, name: string): { pod: Pod; node: string } {
  const pod = podNamed(reader, namespace, name);
  const node = pod.spec?.nodeName;
  if (!node) throw badRequest(`pod ${name} does not have a host assigned`);
  return { pod, node };
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
  const marked = pod.metadata.annotations?.["kubectl.kubernetes.io/default-container"];
  if (marked && containers.some((container) => container.name === marked)) return marked;
  const [only, ...others] = containers;
  if (only && others.length === 0) return only.name;
  const init = initContainers.length > 0 ? ` or one of the init containers: [${names(initContainers)}]` : "";
  throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${names(containers)}]${init}`);
}

export function podTarget(reader: ResourceReader, namespace: string, text: string): ConnectTarget {
  const { scheme, name, port } = parseProxyName(text);
  const { pod, node } = scheduledPod(reader, namespace, name);
  const ip = pod.status?.podIP;
  if (!ip) throw serviceUnavailable("address not allowed");
  const first = pod.spec?.containers.flatMap((container) => container.ports ?? [])[0]?.containerPort;
  const number = port === "" ? (first ?? 80) : portNumber(port);
  return { node, target: { kind: "tcp", host: ip, port: number }, scheme, host: hostHeader(ip, number) };
}

export function serviceTarget(
  reader: ResourceReader,
  namespace: string,
  text: string,
  boards: readonly string[],
): ConnectTarget {
  const { scheme, name, port } = parseProxyName(text);
  const service = reader.get(services, { namespace, name });
  if (!service) throw notFound(services, name);
  const ports = service.spec?.ports ?? [];
  const chosen =
    port === "" && ports.length === 1
      ? ports[0]
      : ports.find((each) => each.name === port || String(each.port) === port);
  if (!chosen) throw serviceUnavailable(`no service port "${port}" found for service "${name}"`);
  const endpoints = reader
    .list(endpointSlices, namespace)
    .filter((slice) => slice.metadata.labels?.["kubernetes.io/service-name"] === name)
    .flatMap((slice) => {
      const number = (slice.ports ?? []).find((each) => (each.name ?? "") === (chosen.name ?? ""))?.port;
      return number === undefined
        ? []
        : (slice.endpoints ?? [])
            .filter((endpoint) => endpoint.conditions?.ready !== false)
            .flatMap((endpoint) =>
              endpoint.addresses.slice(0, 1).map((ip) => ({ ip, number, node: endpoint.nodeName })),
            );
    });
  const endpoint = endpoints[Math.floor(Math.random() * endpoints.length)];
  if (!endpoint) throw serviceUnavailable(`no endpoints available for service "${name}"`);
  // An endpoint that is no pod has no board: any board may reach it.
  const node = endpoint.node ?? boards[0];
  if (node === undefined) throw serviceUnavailable("no board is connected to this API server");
  return {
    node,
    target: { kind: "tcp", host: endpoint.ip, port: endpoint.number },
    scheme,
    host: hostHeader(endpoint.ip, endpoint.number),
  };
}

export function nodeTarget(reader: ResourceReader, text: string): ConnectTarget {
  const { scheme, name, port } = parseProxyName(text);
  const node = reader.get(nodes, { name });
  if (!node) throw notFound(nodes, name);
  const own = node.status?.daemonEndpoints?.kubeletEndpoint?.Port ?? 10_250;
  const number = port === "" ? own : portNumber(port);
  const ip = internalIp(node);
  if (number === own) return { node: name, target: { kind: "kubelet" }, scheme: "http", host: hostHeader(ip, number) };
  return { node: name, target: { kind: "tcp", host: ip, port: number }, scheme, host: hostHeader(ip, number) };
}

function internalIp(node: Node): string {
  return node.status?.addresses?.find((address) => address.type === "InternalIP")?.address ?? node.metadata.name ?? "";
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw badRequest(`invalid port "${text}"`);
  return port;
}

const hostHeader = (ip: string, port: number): string => (ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`);
const names = (containers: readonly { readonly name: string }[]): string =>
  containers.map((container) => container.name).join(" ");
