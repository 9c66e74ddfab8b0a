/** Topology aware routing (KEP-2433): each zone gets endpoints in the measure of its CPUs. */
import { milliValue } from "#shared/api/quantity.ts";
import type { Node, Service } from "#shared/api/types/core-v1.generated.ts";
import type { Endpoint } from "#shared/api/types/discovery-v1.generated.ts";
import { readyCondition } from "../node/health.ts";
import type { EndpointGroup } from "./slice-plan.ts";

/** Of a node: the zone that it and the endpoints on it are in. */
export const zoneLabel = "topology.kubernetes.io/zone";
const annotations = ["service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"] as const;
/** Control plane nodes take no part: pods seldom run there. */
const excludedLabels = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"] as const;
/** A zone's endpoints may have so much more to do than their fair share. */
const overload = 0.2;

export const wantsZoneHints = ({ metadata }: Service): boolean => {
  const mode = annotations.map((name) => metadata.annotations?.[name]).find((value) => value !== undefined);
  return mode === "Auto" || mode === "auto";
};

/** Each zone's part of the CPUs of ready nodes; undefined when a node does not tell its zone or CPUs, or all are in one. */
export function cpuShares(nodes: readonly Node[]): ReadonlyMap<string, number> | undefined {
  const cpus = new Map<string, number>();
  let total = 0;
  for (const node of nodes) {
    const labels = node.metadata.labels ?? {};
    if (excludedLabels.some((label) => label in labels) || readyCondition(node)?.status !== "True") continue;
    const zone = labels[zoneLabel];
    const amount = milliValue(node.status?.allocatable?.["cpu"] ?? "0");
    if (!zone || amount === 0) return undefined;
    cpus.set(zone, (cpus.get(zone) ?? 0) + amount);
    total += amount;
  }
  if (cpus.size < 2) return undefined;
  return new Map([...cpus].sort(([a], [b]) => (a < b ? -1 : 1)).map(([zone, amount]) => [zone, amount / total]));
}

export type ZoneHints =
  /** The zone for each endpoint, in their order; none for those that are not ready. */
  | { readonly kind: "on"; readonly zones: readonly (string | undefined)[] }
  | { readonly kind: "off"; readonly why: string };

/** By family of addresses (`IPv4`, `IPv6`): `on`, or why there are no hints. */
export type HintOutcomes = ReadonlyMap<string, string>;

/** Writes hints by zones into the endpoints of the groups, each family of addresses for itself. */
export function addZoneHints(
  groups: readonly EndpointGroup[],
  shares: ReadonlyMap<string, number> | undefined,
): HintOutcomes {
  const outcomes = new Map<string, string>();
  for (const addressType of new Set(groups.map((group) => group.addressType))) {
    const all = groups.filter((group) => group.addressType === addressType).flatMap(({ endpoints }) => endpoints);
    const hints = zoneHints(all, shares);
    outcomes.set(addressType, hints.kind === "on" ? "on" : hints.why);
    for (const [index, endpoint] of all.entries()) {
      const zone = hints.kind === "on" ? hints.zones[index] : undefined;
      if (zone === undefined) delete endpoint.hints;
      else endpoint.hints = { forZones: [{ name: zone }] };
    }
  }
  return outcomes;
}

/** Endpoints serve their own zone, and as many of them another one as fairness asks for. */
export function zoneHints(endpoints: readonly Endpoint[], shares: ReadonlyMap<string, number> | undefined): ZoneHints {
  const off = (why: string): ZoneHints => ({ kind: "off", why });
  const ready = endpoints.filter(({ conditions }) => conditions?.ready !== false);
  if (!shares) return off("Insufficient Node information: allocatable CPU or zone not specified on one or more nodes");
  const counts = `(${ready.length} endpoints, ${shares.size} zones)`;
  if (shares.size > ready.length) return off(`Insufficient number of endpoints ${counts}`);
  const desired = new Map<string, number>();
  let least = 0;
  for (const [zone, share] of shares) {
    const fair = share * ready.length;
    const minimum = Math.ceil(fair / (1 + overload));
    least += minimum;
    desired.set(zone, Math.max(fair, minimum));
  }
  if (least > ready.length) {
    const why = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold";
    return off(`${why} ${counts}`);
  }
  if (ready.some(({ zone }) => !zone)) return off("One or more endpoints do not have a zone specified");
  const moves = movesBetween(ready, desired);
  const zones = endpoints.map(({ zone = "", conditions }) => {
    if (conditions?.ready === false) return undefined;
    return moves.get(zone)?.pop() ?? zone;
  });
  return { kind: "on", zones };
}

/** For each zone that has more than its share: whom it helps out, once for each endpoint that it gives. */
function movesBetween(ready: readonly Endpoint[], desired: ReadonlyMap<string, number>): ReadonlyMap<string, string[]> {
  const surplus = new Map<string, number>();
  for (const { zone = "" } of ready) surplus.set(zone, (surplus.get(zone) ?? 0) + 1);
  for (const [zone, amount] of desired) surplus.set(zone, (surplus.get(zone) ?? 0) - amount);
  // A zone without nodes that count needs none of its endpoints: they stay with it all the same, as upstream has it.
  for (const zone of surplus.keys()) if (!desired.has(zone)) surplus.delete(zone);
  const moves = new Map<string, string[]>();
  for (;;) {
    const [giver, toGive] = furthest(surplus, 1);
    const [taker, toTake] = furthest(surplus, -1);
    if (giver === undefined || taker === undefined) return moves;
    if ((toGive < 1 && toTake < 1) || toGive < 0.5 || toTake < 0.5) return moves;
    moves.set(giver, [...(moves.get(giver) ?? []), taker]);
    surplus.set(giver, toGive - 1);
    surplus.set(taker, 1 - toTake);
  }
}

function furthest(surplus: ReadonlyMap<string, number>, sign: 1 | -1): [string | undefined, number] {
  let best: [string | undefined, number] = [undefined, 0];
  for (const [zone, amount] of surplus) if (amount * sign > best[1]) best = [zone, amount * sign];
  return best;
}
