import { sameTaint, wellKnownTaints } from "#shared/api/scheduling/taints.ts";
import type { Node, Taint } from "#shared/api/types/core-v1.generated.ts";
import { strainTaint, strainTypes } from "#shared/board/strains.ts";
import { readyCondition } from "./health.ts";

/** How much of the fleet (of one zone) is well. */
export type FleetState =
  | "normal"
  /** Most of it is not: rather the network or this master than the boards. No pod is evicted any more. */
  | "partly disrupted"
  /** All of it: nothing is evicted, and what was begun is taken back. */
  | "disrupted";

const unhealthyShare = 0.55;

/** Upstream's thresholds (pure). `ready` tells of each node in the zone whether it is Ready. */
export function fleetState(ready: readonly boolean[]): FleetState {
  const notReady = ready.filter((one) => !one).length;
  if (notReady === 0) return "normal";
  if (notReady === ready.length) return "disrupted";
  return notReady > 2 && notReady / ready.length >= unhealthyShare ? "partly disrupted" : "normal";
}

const zoneLabels = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];

export const zoneOf = ({ metadata }: Node): string =>
  zoneLabels.map((label) => metadata.labels?.[label] ?? "").join("/");

/** NoSchedule taints that mirror conditions: type, status and key. */
const conditionTaints: readonly (readonly [string, string, string])[] = [
  ["Ready", "False", wellKnownTaints.notReady],
  ["Ready", "Unknown", wellKnownTaints.unreachable],
  ["MemoryPressure", "True", wellKnownTaints.memoryPressure],
  ["DiskPressure", "True", wellKnownTaints.diskPressure],
  ["PIDPressure", "True", wellKnownTaints.pidPressure],
  ["NetworkUnavailable", "True", wellKnownTaints.networkUnavailable],
];

/**
 * The node's taints as they should be (pure); undefined when they are. NoSchedule taints follow conditions and
 * `spec.unschedulable`, and those of a strained board follow the cluster's policy. The NoExecute taints for not ready and unreachable, which evict pods, follow the Ready
 * condition while the fleet is well. Others' taints stay. `now` dates new NoExecute taints.
 */
export function taintsAfter(
  node: Node,
  fleet: FleetState,
  now: string,
  strained: StrainPolicy = "none",
): Taint[] | undefined {
  const present = node.spec?.taints ?? [];
  const wanted = [
    ...noScheduleTaints(node),
    ...strainTaints(node, strained),
    ...noExecuteTaints(node, fleet, present, now),
  ];
  const isOurs = (taint: Taint): boolean =>
    strainTypes.some((type) => strainTaint(type) === taint.key) ||
    (taint.effect === "NoSchedule" &&
      (taint.key === wellKnownTaints.unschedulable || conditionTaints.some(([, , key]) => key === taint.key))) ||
    (taint.effect === "NoExecute" && evicting.some((key) => key === taint.key));
  const kept = present.filter((taint) => !isOurs(taint) || wanted.some((one) => sameTaint(one, taint)));
  const added = wanted.filter((taint) => !present.some((one) => sameTaint(one, taint)));
  return added.length === 0 && kept.length === present.length ? undefined : [...kept, ...added];
}

/** Losses within this are taken for one event. */
const together_ms = 30_000;

const isWithin = (then: string | undefined, now: string, span_ms: number): boolean =>
  then !== undefined && Math.abs(Date.parse(now) - Date.parse(then)) < span_ms;

/** What becomes of a board whose supply is weak, that is throttled or hot. */
export type StrainPolicy = "none" | "PreferNoSchedule" | "NoSchedule";

function strainTaints({ status }: Node, effect: StrainPolicy): Taint[] {
  if (effect === "none") return [];
  return strainTypes
    .filter((wanted) => status?.conditions?.some(({ type, status }) => type === wanted && status === "True"))
    .map((type) => ({ key: strainTaint(type), effect }));
}

const evicting: readonly string[] = [wellKnownTaints.notReady, wellKnownTaints.unreachable];

function noScheduleTaints({ spec, status }: Node): Taint[] {
  const taints = conditionTaints
    .filter(([type, value]) => status?.conditions?.some((one) => one.type === type && one.status === value))
    .map(([, , key]): Taint => ({ key, effect: "NoSchedule" }));
  if (spec?.unschedulable) taints.push({ key: wellKnownTaints.unschedulable, effect: "NoSchedule" });
  return taints;
}

function noExecuteTaints(node: Node, fleet: FleetState, present: readonly Taint[], now: string): Taint[] {
  if (fleet === "disrupted") return [];
  const status = readyCondition(node)?.status;
  const key =
    status === "False" ? wellKnownTaints.notReady : status === "Unknown" ? wellKnownTaints.unreachable : undefined;
  if (!key) return [];
  const taint: Taint = { key, effect: "NoExecute", timeAdded: now };
  // Boards behind one dead switch are noticed one after the other: what the first ones got meanwhile is taken back.
  const began = present.some(
    ({ key, effect, timeAdded }) =>
      effect === "NoExecute" && evicting.includes(key) && !isWithin(timeAdded, now, together_ms),
  );
  return fleet === "normal" || began ? [taint] : [];
}
