import { replicaSets, replicationControllers, services, statefulSets } from "#shared/api/resources.ts";
import { matchesNodeSelection } from "#shared/api/scheduling/node-affinity.ts";
import { keepsPodsAway, untoleratedTaint } from "#shared/api/scheduling/taints.ts";
import { LabelSelector, labelSelectorOf, labelSelectorOfMap } from "#shared/api/selector/label-selector.ts";
import type { Node, Pod, TopologySpreadConstraint } from "#shared/api/types/core-v1.generated.ts";
import type { PluginArgs } from "../configuration/plugin-args.ts";
import { bestScore, type ClusterView, type PluginCycle, rejection, type SchedulerPlugin } from "../framework.ts";
import type { NodeInfo } from "../node-info.ts";
import type { PodInfo } from "../pod-info.ts";

interface Constraint {
  readonly maxSkew: number;
  readonly minDomains: number;
  readonly topologyKey: string;
  readonly selector: LabelSelector;
  /** Whether pods on this node count (nodeAffinityPolicy, nodeTaintsPolicy; KEP-3094). */
  counts(node: NodeInfo): boolean;
}

const hostname = "kubernetes.io/hostname";

/** Upstream's own spreading of pods that belong to a Service or a controller and name no constraints. */
const systemDefaults: readonly TopologySpreadConstraint[] = [
  { topologyKey: hostname, whenUnsatisfiable: "ScheduleAnyway", maxSkew: 3 },
  { topologyKey: "topology.kubernetes.io/zone", whenUnsatisfiable: "ScheduleAnyway", maxSkew: 5 },
];

const unmatched = "node(s) didn't match pod topology spread constraints";

/** Like pods are spread over nodes, zones and whatever labels say. */
export const podTopologySpread = (args: PluginArgs["PodTopologySpread"]): SchedulerPlugin => ({
  name: "PodTopologySpread",
  wokenBy: new Set([
    "nodeAdded",
    "nodeLabels",
    "nodeTaints",
    "nodeDeleted",
    "podDeleted",
    "podAssigned",
    "podLabels",
    "podTolerations",
  ]),
  mayHelp({ pod: { spec, metadata } }, { change, node, nodeBefore, pod, podBefore, freed }) {
    const hard = (spec?.topologySpreadConstraints ?? []).filter((one) => one.whenUnsatisfiable === "DoNotSchedule");
    if (hard.length === 0) return true;
    if (node ?? nodeBefore) return changesDomains(hard, node?.node, nodeBefore);
    const other = pod ?? freed;
    if (!other) return true;
    if (change === "podTolerations")
      return other.uid === metadata.uid && hard.some(({ nodeTaintsPolicy }) => nodeTaintsPolicy === "Honor");
    if (other.namespace !== metadata.namespace) return false;
    return hard.some(({ labelSelector }) => {
      const selector = labelSelectorOf(labelSelector);
      const isCounted = selector.matches(other.pod.metadata.labels);
      return podBefore ? isCounted !== selector.matches(podBefore.pod.metadata.labels) : isCounted;
    });
  },
  begin(info, cluster) {
    const named = info.pod.spec?.topologySpreadConstraints ?? [];
    const isNamed = named.length > 0;
    const [hard, soft] = (["DoNotSchedule", "ScheduleAnyway"] as const).map((action) =>
      isNamed ? compile(named, action, info.pod) : defaultConstraints(args, action, info.pod, cluster),
    ) as [Constraint[], Constraint[]];
    if (hard.length + soft.length === 0) return undefined;
    return {
      ...(hard.length > 0 ? hardCycle(info, hard, cluster) : {}),
      ...(soft.length > 0
        ? { scores: (feasible) => softScores(info, soft, cluster, feasible, isNamed || args.defaultingType === "List") }
        : {}),
    };
  },
});

/** Whether the pods of other nodes are weighed against other numbers, now that the node came, changed or went. */
function changesDomains(
  hard: readonly TopologySpreadConstraint[],
  now: Node | undefined,
  before: Node | undefined,
): boolean {
  const keys = hard.map(({ topologyKey }) => topologyKey);
  const takesPart = (node: Node | undefined): boolean =>
    node !== undefined && keys.every((key) => node.metadata.labels?.[key] !== undefined);
  if (takesPart(now) !== takesPart(before)) return true;
  if (!takesPart(now)) return false;
  return (
    keys.some((key) => now?.metadata.labels?.[key] !== before?.metadata.labels?.[key]) ||
    JSON.stringify(now?.spec?.taints) !== JSON.stringify(before?.spec?.taints)
  );
}

function hardCycle(info: PodInfo, constraints: readonly Constraint[], cluster: ClusterView): PluginCycle {
  const counted = constraints.map(() => new Map<string, number>());
  for (const node of cluster.nodes()) {
    if (!hasAllKeys(node, constraints)) continue;
    constraints.forEach((constraint, index) => {
      if (constraint.counts(node)) addCount(counted[index], constraint, node, info.namespace);
    });
  }
  const least = constraints.map(({ minDomains }, index) => {
    const values = counted[index] ?? new Map<string, number>();
    return values.size < minDomains ? 0 : Math.min(...values.values());
  });
  return {
    filter({ labels }) {
      for (const [index, { topologyKey, selector, maxSkew }] of constraints.entries()) {
        const value = labels[topologyKey];
        if (value === undefined) return rejection(`${unmatched} (missing required label)`, "final");
        const self = selector.matches(info.pod.metadata.labels) ? 1 : 0;
        const present = counted[index]?.get(value) ?? 0;
        const fewest = least[index] ?? 0;
        if (present + self - (Number.isFinite(fewest) ? fewest : 0) > maxSkew)
          return rejection(unmatched, "preemptible");
      }
      return undefined;
    },
  };
}

function softScores(
  info: PodInfo,
  constraints: readonly Constraint[],
  cluster: ClusterView,
  feasible: readonly NodeInfo[],
  requireAllKeys: boolean,
): number[] {
  const ignored = feasible.map((node) => requireAllKeys && !hasAllKeys(node, constraints));
  const kept = feasible.filter((_, index) => !ignored[index]);
  const counted = constraints.map(({ topologyKey }) => {
    const values = new Map<string, number>();
    if (topologyKey !== hostname) for (const { labels } of kept) values.set(labels[topologyKey] ?? "", 0);
    return values;
  });
  for (const node of cluster.nodes()) {
    if (requireAllKeys && !hasAllKeys(node, constraints)) continue;
    constraints.forEach((constraint, index) => {
      const values = counted[index];
      if (values?.has(node.labels[constraint.topologyKey] ?? "") && constraint.counts(node))
        addCount(values, constraint, node, info.namespace);
    });
  }
  const scores = feasible.map((node, position) => {
    if (ignored[position]) return undefined;
    let sum = 0;
    for (const [index, { topologyKey, maxSkew, selector }] of constraints.entries()) {
      const value = node.labels[topologyKey];
      if (value === undefined) continue;
      const domains = topologyKey === hostname ? kept.length : (counted[index]?.size ?? 0);
      const count =
        topologyKey === hostname ? countPods(node, selector, info.namespace) : (counted[index]?.get(value) ?? 0);
      sum += count * Math.log(domains + 2) + (maxSkew - 1);
    }
    return Math.round(sum);
  });
  return normalize(scores);
}

/** Fewer like pods nearby is better; a node that lacks a topology label gets nothing. */
function normalize(scores: readonly (number | undefined)[]): number[] {
  const given = scores.filter((score) => score !== undefined);
  const least = Math.min(...given);
  const greatest = Math.max(0, ...given);
  return scores.map((score) => {
    if (score === undefined) return 0;
    return greatest === 0 ? bestScore : Math.floor((bestScore * (greatest + least - score)) / greatest);
  });
}

const hasAllKeys = ({ labels }: NodeInfo, constraints: readonly Constraint[]): boolean =>
  constraints.every(({ topologyKey }) => labels[topologyKey] !== undefined);

function addCount(
  values: Map<string, number> | undefined,
  { topologyKey, selector }: Constraint,
  node: NodeInfo,
  namespace: string,
): void {
  const value = node.labels[topologyKey] ?? "";
  values?.set(value, (values.get(value) ?? 0) + countPods(node, selector, namespace));
}

function countPods(node: NodeInfo, selector: LabelSelector, namespace: string): number {
  if (selector.isEmpty || selector.matchesNothing) return 0;
  let count = 0;
  for (const { pod, namespace: own } of candidates(node, selector))
    if (own === namespace && !pod.metadata.deletionTimestamp && selector.matches(pod.metadata.labels)) count++;
  return count;
}

/** Nearly every selector names a value of a label: then only pods with that one need to be looked at. */
function candidates(node: NodeInfo, selector: LabelSelector): Iterable<PodInfo> {
  for (const { key } of selector.requirements) {
    const value = selector.exactValue(key);
    if (value !== undefined) return node.podsWithLabel(key, value);
  }
  return node.pods.values();
}

function compile(
  constraints: readonly TopologySpreadConstraint[],
  action: "DoNotSchedule" | "ScheduleAnyway",
  pod: Pod,
  selectorOf: (constraint: TopologySpreadConstraint) => LabelSelector = ownSelector(pod),
): Constraint[] {
  return constraints
    .filter(({ whenUnsatisfiable }) => whenUnsatisfiable === action)
    .map((constraint) => ({
      maxSkew: constraint.maxSkew,
      minDomains: constraint.minDomains ?? 1,
      topologyKey: constraint.topologyKey,
      selector: selectorOf(constraint),
      counts: ({ node }) =>
        node !== undefined &&
        (constraint.nodeAffinityPolicy === "Ignore" || matchesNodeSelection(pod, node)) &&
        (constraint.nodeTaintsPolicy !== "Honor" ||
          !untoleratedTaint(node.spec?.taints, pod.spec?.tolerations, keepsPodsAway)),
    }));
}

/** The constraint's own selector, narrowed by the pod's values of `matchLabelKeys` (KEP-3243). */
const ownSelector =
  ({ metadata }: Pod) =>
  ({ labelSelector, matchLabelKeys = [] }: TopologySpreadConstraint): LabelSelector => {
    const values = matchLabelKeys.flatMap((key) => {
      const value = metadata.labels?.[key];
      return value === undefined ? [] : [{ key, operator: "=" as const, values: [value] }];
    });
    const selector = labelSelectorOf(labelSelector);
    return values.length > 0 ? selector.and(values) : selector;
  };

function defaultConstraints(
  { defaultingType, defaultConstraints: listed }: PluginArgs["PodTopologySpread"],
  action: "DoNotSchedule" | "ScheduleAnyway",
  pod: Pod,
  cluster: ClusterView,
): Constraint[] {
  const defaults = (defaultingType === "System" ? systemDefaults : listed).filter(
    ({ whenUnsatisfiable }) => whenUnsatisfiable === action,
  );
  if (defaults.length === 0) return [];
  const selector = selectorOfOwners(pod, cluster);
  return selector.isEmpty ? [] : compile(defaults, action, pod, () => selector);
}

/** What the pod's Services and its controller select by, all together; everything when there are none. */
function selectorOfOwners(pod: Pod, cluster: ClusterView): LabelSelector {
  const namespace = pod.metadata.namespace ?? "";
  const labels = pod.metadata.labels ?? {};
  let selector = LabelSelector.everything;
  for (const { spec } of cluster.lister(services).list(namespace)) {
    if (!spec?.selector || Object.keys(spec.selector).length === 0) continue;
    const own = labelSelectorOfMap(spec.selector);
    if (own.matches(labels)) selector = selector.and(own.requirements);
  }
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller);
  if (!owner) return selector;
  const key = `${namespace}/${owner.name}`;
  if (owner.kind === "ReplicationController") {
    const own = cluster.lister(replicationControllers).get(key)?.spec?.selector;
    return own ? selector.and(labelSelectorOfMap(own).requirements) : selector;
  }
  const own =
    owner.kind === "ReplicaSet"
      ? cluster.lister(replicaSets).get(key)?.spec?.selector
      : owner.kind === "StatefulSet"
        ? cluster.lister(statefulSets).get(key)?.spec?.selector
        : undefined;
  return own ? selector.and(labelSelectorOf(own).requirements) : selector;
}
