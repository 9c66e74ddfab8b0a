import type { Node, Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { familyOf } from "#shared/net/ip-family.ts";
import { isNodeReady } from "../node/health.ts";

/** `spec.loadBalancerClass` of Services that ask for the boards by name; those without a class get them too. */
const boardLoadBalancerClass = "bramble.dev/board";
/** Upstream's label for nodes that load balancers are to leave out. */
const excludingLabel = "node.kubernetes.io/exclude-from-external-load-balancers";

/** What a Service gets: addresses of boards, or the reason why it has to wait. */
export type Assignment =
  | { readonly service: Service; readonly ips: readonly string[] }
  | { readonly service: Service; readonly refusal: string };

export interface AssignmentInput {
  readonly services: readonly Service[];
  readonly nodes: readonly Node[];
  slicesOf(service: Service): readonly EndpointSlice[];
  /** `TCP/6443` and the like, with who has it: ports that a Service must not take from the boards themselves. */
  readonly reserved: ReadonlyMap<string, string>;
}

/**
 * Boards' addresses for every Service of type LoadBalancer: all boards that are ready, or with externalTrafficPolicy
 * Local those that run a ready endpoint. A port of the boards belongs to one Service: to the one that has it already,
 * else to the oldest. Pure.
 */
export function assignBoards(input: AssignmentInput): Assignment[] {
  const taken = new Map(input.reserved);
  const boards = input.nodes.filter(isUsable);
  return input.services
    .filter(isOurs)
    .sort(bySeniority)
    .map((service): Assignment => {
      const ports = (service.spec.ports ?? []).map(({ protocol = "TCP", port }) => `${protocol}/${port}`);
      const clash = ports.find((port) => taken.has(port));
      if (clash !== undefined) {
        return { service, refusal: `port ${clash} of the boards belongs to ${taken.get(clash)}` };
      }
      for (const port of ports) taken.set(port, `Service ${service.metadata.namespace}/${service.metadata.name}`);
      return { service, ips: ipsOf(service, boards, input.slicesOf) };
    });
}

export function isOurs(service: Service): boolean {
  const { spec, metadata } = service;
  if (spec?.type !== "LoadBalancer" || metadata.deletionTimestamp) return false;
  return spec.loadBalancerClass === undefined || spec.loadBalancerClass === boardLoadBalancerClass;
}

/** May clients from outside be sent to this board? */
export function isUsable(node: Node): boolean {
  const { deletionTimestamp, labels } = node.metadata;
  return isNodeReady(node) && !deletionTimestamp && labels?.[excludingLabel] === undefined;
}

function bySeniority(a: Service, b: Service): number {
  const has = (service: Service): number => (service.status?.loadBalancer?.ingress?.length ? 0 : 1);
  const [ageA = "", ageB = ""] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  return (
    has(a) - has(b) || (ageA < ageB ? -1 : ageA > ageB ? 1 : (a.metadata.uid ?? "") < (b.metadata.uid ?? "") ? -1 : 1)
  );
}

function ipsOf(service: Service, boards: readonly Node[], slicesOf: AssignmentInput["slicesOf"]): string[] {
  const { spec } = service;
  const chosen = spec.externalTrafficPolicy === "Local" ? servingBoards(boards, slicesOf(service)) : boards;
  const families = spec.ipFamilies ?? ["IPv4"];
  return chosen
    .flatMap(boardIps)
    .filter((ip) => families.includes(familyOf(ip)))
    .sort();
}

function servingBoards(boards: readonly Node[], slices: readonly EndpointSlice[]): Node[] {
  const serving = new Set(
    slices.flatMap(({ endpoints }) =>
      (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false).map(({ nodeName }) => nodeName),
    ),
  );
  return boards.filter(({ metadata }) => serving.has(metadata.name));
}

/** Those that the outside knows, where a board says so. */
export function boardIps({ status }: Node): string[] {
  const of = (type: string): string[] =>
    (status?.addresses ?? []).filter((each) => each.type === type).map(({ address }) => address);
  const external = of("ExternalIP");
  return external.length > 0 ? external : of("InternalIP");
}
