import { sameTaint, wellKnownTaints } from "#shared/api/scheduling/taints.ts";
import type { Node, Taint } from "#shared/api/types/core-v1.generated.ts";
import { strainTaint, strainTypes } from "#shared/board/strains.ts";
import { readyCondition } from "./health.ts";

/** Whether the pods of a node that is not ready may be evicted. */
export type EvictionVerdict =
  | "evict"
  /** Not this node's turn yet. */
  | "wait"
  /** Too much is down: nothing is begun any more, and what was begun just now is undone. */
  | "hold"
  | "take back";

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
 * condition as `eviction` allows. Others' taints stay. `now` dates new taints, whatever their effect, as upstream's
 * SwapNodeControllerTaint does.
 */
export function taintsAfter(
  node: Node,
  eviction: EvictionVerdict,
  now: string,
  strained: StrainPolicy = "none",
): Taint[] | undefined {
  const present = node.spec?.taints ?? [];
  const wanted = [
    ...noScheduleTaints(node),
    ...strainTaints(node, strained),
    ...noExecuteTaints(node, eviction, present, now),
  ];
  const isOurs = (taint: Taint): boolean =>
    strainTypes.some((type) => strainTaint(type) === taint.key) ||
    (taint.effect === "NoSchedule" &&
      (taint.key === wellKnownTaints.unschedulable || conditionTaints.some(([, , key]) => key === taint.key))) ||
    isEvicting(taint);
  const kept = present.filter((taint) => !isOurs(taint) || wanted.some((one) => sameTaint(one, taint)));
  const added = wanted
    .filter((taint) => !present.some((one) => sameTaint(one, taint)))
    .map((taint): Taint => ({ ...taint, timeAdded: now }));
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

function noExecuteTaints(node: Node, eviction: EvictionVerdict, present: readonly Taint[], now: string): Taint[] {
  const key = evictingTaintOf(node);
  if (!key) return [];
  const taint: Taint = { key, effect: "NoExecute" };
  const begun = present.filter(isEvicting);
  switch (eviction) {
    case "evict":
      return [taint];
    case "wait":
      return begun;
    case "hold":
      // Boards behind one dead switch are noticed one after the other: what the first ones got meanwhile is taken back.
      return begun.some(({ timeAdded }) => !isWithin(timeAdded, now, together_ms)) ? [taint] : [];
    case "take back":
      return [];
  }
}

const isEvicting = ({ key, effect }: Taint): boolean => effect === "NoExecute" && evicting.includes(key);

/** Key of the taint that evicts pods from a node in this condition. */
export function evictingTaintOf(node: Node): string | undefined {
  const status = readyCondition(node)?.status;
  if (status === "False") return wellKnownTaints.notReady;
  return status === "Unknown" ? wellKnownTaints.unreachable : undefined;
}

export const isBeingEmptied = ({ spec }: Pick<Node, "spec">): boolean => spec?.taints?.some(isEvicting) ?? false;
